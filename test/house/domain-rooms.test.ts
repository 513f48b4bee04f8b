import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const domain = new URL('../../src/domain/', import.meta.url)

/** Room -> the rooms that it imports, types included. */
const imports = new Map(
  readdirSync(domain).map((room) => {
    const texts = readdirSync(new URL(`${room}/`, domain)).map((file) =>
      readFileSync(new URL(`${room}/${file}`, domain), 'utf8'),
    )
    const named = texts.flatMap((text) => [...text.matchAll(/from '#\/domain\/([^/]+)\//g)])
    return [room, new Set(named.map(([, other = '']) => other))] as const
  }),
)

/** The rooms that are above and below one another; empty where there is an order. */
function unordered(): string[] {
  const left = new Map(imports)
  for (;;) {
    const lowest = [...left].find(([, below]) => [...below].every((room) => !left.has(room)))
    if (!lowest) return [...left.keys()]
    left.delete(lowest[0])
  }
}

it('the rooms of the domain have an order: none imports, however far around, what imports it', () => {
  expect(imports.size).toBeGreaterThan(15)
  expect(unordered()).toEqual([])
})
