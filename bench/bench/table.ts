/** Numbers for people: aligned columns, and no more digits than are true. */
export function say(text = ''): void {
  process.stdout.write(`${text}\n`)
}

export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, n) =>
    Math.max(title.length, ...rows.map((row) => row[n]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0)))
      .join('   ')
  say([head, ...rows].map((row) => `  ${line(row)}`).join('\n'))
  say()
}

export const whole = (n: number): string => Math.round(n).toLocaleString('en-US')
export const ratio = (n: number): string => n.toFixed(3)
export const milliseconds = (n: number): string => `${n.toFixed(n < 10 ? 2 : 0)} ms`
export const microseconds = (n: number): string => `${n.toFixed(n < 10 ? 2 : 0)} µs`

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const [low = 0, high = 0] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]]
  return (low + high) / 2
}
