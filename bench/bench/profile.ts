/** Where a process has spent its time, from a profile as V8 writes it. */
import { readFileSync } from 'node:fs'
import { printTable, say } from './table.ts'

interface Node {
  readonly id: number
  readonly callFrame: {
    readonly functionName: string
    readonly url: string
    readonly lineNumber: number
  }
  readonly children?: readonly number[]
}

interface Profile {
  readonly nodes: readonly Node[]
  readonly samples: readonly number[]
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[]
}

const most = 60
const outside = new Set(['(idle)', '(program)', '(root)'])

/** For each package or folder, and for each function: the time in itself, and with what it called. */
export function printProfile(file: string): void {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile
  const times = ownTimes(profile)
  const busy = profile.nodes
    .filter(({ callFrame }) => !outside.has(callFrame.functionName))
    .reduce((sum, { id }) => sum + (times.get(id) ?? 0), 0)
  say(`${file}: ${(busy / 1e6).toFixed(1)} s at work`)
  for (const nameOf of [placeOf, functionOf]) print(sumBy(profile, times, nameOf), busy)
}

function ownTimes({ samples, timeDeltas }: Profile): Map<number, number> {
  const times = new Map<number, number>()
  for (const [n, id] of samples.entries())
    times.set(id, (times.get(id) ?? 0) + (timeDeltas[n] ?? 0))
  return times
}

interface Times {
  own: number
  below: number
}

/** `below` counts a name once for each stack, however often it is on it. */
function sumBy(
  { nodes }: Profile,
  times: ReadonlyMap<number, number>,
  nameOf: (node: Node) => string,
): Map<string, Times> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const sums = new Map<string, Times>()
  const walk = (node: Node, above: ReadonlySet<string>): number => {
    const name = nameOf(node)
    const names = new Set(above).add(name)
    const self = times.get(node.id) ?? 0
    const total = (node.children ?? [])
      .map((id) => byId.get(id))
      .filter((child) => child !== undefined)
      .reduce((sum, child) => sum + walk(child, names), self)
    const entry = sums.get(name) ?? { own: 0, below: 0 }
    sums.set(name, entry)
    entry.own += self
    if (!above.has(name)) entry.below += total
    return total
  }
  if (nodes[0]) walk(nodes[0], new Set())
  return sums
}

function print(sums: ReadonlyMap<string, Times>, busy: number) {
  const percent = (time: number) => `${((time * 100) / busy).toFixed(1)} %`
  const rows = [...sums]
    .filter(([name]) => !outside.has(name))
    .sort(([, a], [, b]) => b.own - a.own)
    .slice(0, most)
  printTable(
    ['', 'itself', 'with what it called'],
    rows.map(([name, { own: self, below }]) => [name, percent(self), percent(below)]),
  )
}

/** The package, the folder of ours, or Node.js itself. */
function placeOf({ callFrame: { url, functionName } }: Node): string {
  if (url === '') return functionName
  if (url.startsWith('node:')) return url.split('/')[0] ?? url
  const [, packagePath] = url.split(/node_modules\/(?!.*node_modules\/)/)
  if (packagePath !== undefined)
    return packagePath
      .split('/')
      .slice(0, packagePath.startsWith('@') ? 2 : 1)
      .join('/')
  return /\/(src\/[^/]+(?:\/[^/]+)?)\//.exec(url)?.[1] ?? url.split('/').slice(-2).join('/')
}

function functionOf({ callFrame: { functionName, url, lineNumber } }: Node): string {
  const file = url.split('/').slice(-2).join('/')
  return `${functionName || '(anonymous)'} ${file}${file && `:${lineNumber + 1}`}`
}
