/** One statement takes no more than 65,535 values: rows that may be many go in slices. */
export function* slicesOf<T>(rows: readonly T[]): Generator<readonly T[], void> {
  const most = 1000
  for (let start = 0; start < rows.length; start += most) yield rows.slice(start, start + most)
}
