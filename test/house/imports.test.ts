/**
 * Imports only go down the floors and never in a circle. Biome sees neither circles that a type closes nor circles of
 * rooms, so both are looked for here, in every import and export of src/, types included.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const source = fileURLToPath(new URL('../../src', import.meta.url))

/** Who imports whom. */
type Graph = ReadonlyMap<string, ReadonlySet<string>>

const importPattern = /\b(?:from|import)\s*\(?\s*'((?:#|\.{1,2})\/[^']+\.ts)'/g

/** The files of ours that a file names, whether for their values or for their types. */
const importsOf = (file: string, text: string): Set<string> =>
  new Set(
    [...text.matchAll(importPattern)].map(([, name = '']) =>
      name.startsWith('#/') ? name.slice(2) : posix.join(posix.dirname(file), name),
    ),
  )

const files: Graph = new Map(
  readdirSync(source, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [name, importsOf(name, readFileSync(`${source}/${name}`, 'utf8'))]),
)

/** One circle, from a name back to itself, if there is any. */
function findCircle(graph: Graph): string | undefined {
  const done = new Set<string>()
  const visit = (name: string, path: readonly string[]): string | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name].join(' -> ')
    if (done.has(name)) return undefined
    for (const next of graph.get(name) ?? []) {
      const circle = visit(next, [...path, name])
      if (circle) return circle
    }
    done.add(name)
    return undefined
  }
  for (const name of graph.keys()) {
    const circle = visit(name, [])
    if (circle) return circle
  }
  return undefined
}

describe('files', () => {
  it('are read with the imports of their types', () => {
    const text = [
      "import { a } from './a.ts'",
      "import type { B } from '../b/b.ts'",
      "import {\n  type C,\n} from '#/c/c.ts'",
      "type D = import('#/d.ts').D",
      "export type { E } from './e.ts'",
      "import { f } from 'f'",
    ].join('\n')
    expect([...importsOf('x/y.ts', text)]).toEqual(['x/a.ts', 'b/b.ts', 'c/c.ts', 'd.ts', 'x/e.ts'])
    expect([...files.values()].flatMap((names) => [...names]).filter((n) => !files.has(n))).toEqual(
      [],
    )
  })

  it('of a circle are named in order', () => {
    const circle = new Map([
      ['top', new Set(['a'])],
      ['a', new Set(['b'])],
      ['b', new Set(['c', 'a'])],
    ])
    expect(findCircle(circle)).toBe('a -> b -> a')
  })

  it('are in no circle', () => {
    expect(findCircle(files)).toBeUndefined()
  })
})

const ground = ['database', 'telemetry', 'protocol']

/** What each floor may import besides itself. */
const floors: Readonly<Record<string, readonly string[]>> = {
  main: ['boot', 'config'],
  boot: ['app', 'config', 'web', 'domain', ...ground],
  app: ['config', 'endpoints', 'web', 'domain', ...ground],
  endpoints: ['web', 'domain', ...ground],
  web: ['domain', ...ground],
  domain: ground,
  config: ['database', 'protocol'],
  database: ['telemetry', 'protocol'],
  telemetry: ['protocol'],
  protocol: [],
}

/** The programs stand on top, and beside app.ts what it is composed of. */
const floorOf = (file: string): string => {
  if (file.includes('/')) return file.split('/', 1).join()
  return ['main.ts', 'admin.ts'].includes(file) ? 'main' : 'app'
}

describe('floors', () => {
  it('are those that there are', () => {
    expect([...new Set([...files.keys()].map(floorOf))].sort()).toEqual(Object.keys(floors).sort())
  })

  it('import only what lies below them', () => {
    const upwards = [...files].flatMap(([file, names]) =>
      [...names]
        .filter(
          (name) => ![floorOf(file), ...(floors[floorOf(file)] ?? [])].includes(floorOf(name)),
        )
        .map((name) => `${file} -> ${name}`),
    )
    expect(upwards).toEqual([])
  })

  it('are entered by nobody from the room beside: endpoints never import each other', () => {
    const roomOf = (file: string) => file.split('/')[1]
    const across = [...files].flatMap(([file, names]) =>
      [...names]
        .filter((name) => floorOf(file) === 'endpoints' && floorOf(name) === 'endpoints')
        .filter((name) => roomOf(file) !== roomOf(name))
        .map((name) => `${file} -> ${name}`),
    )
    expect(across).toEqual([])
  })
})

it('rooms of the domain are in no circle', () => {
  const rooms = new Map<string, Set<string>>()
  for (const [file, names] of files) {
    const [floor, room = ''] = file.split('/')
    if (floor !== 'domain') continue
    const others = [...names].map((name) => name.split('/'))
    for (const [floor, other = ''] of others)
      if (floor === 'domain' && other !== room)
        rooms.set(room, (rooms.get(room) ?? new Set()).add(other))
  }
  expect(rooms.size).toBeGreaterThan(15)
  expect(findCircle(rooms)).toBeUndefined()
})
