import { expect, it } from 'vitest'
import { createMemoryStore } from '#/web/limits/limit-store.ts'

function startStore(most?: number) {
  let now = 1_000_000
  const store = createMemoryStore(() => now, most)
  return {
    later(ms: number) {
      now += ms
    },
    consume: (key: string, { limit = 2, windowMs = 60_000 } = {}) =>
      store.consume([{ key, limit, windowMs }]),
    store,
  }
}

it('charges all windows or none', () => {
  const { store, consume } = startStore()
  const both = [
    { key: 'wide', limit: 9, windowMs: 60_000 },
    { key: 'narrow', limit: 1, windowMs: 60_000 },
  ]
  expect(store.consume(both).refused).toBeUndefined()
  expect(store.consume(both)).toMatchObject({ refused: 1, refusals: 1 })
  expect(store.consume(both)).toMatchObject({ refused: 1, refusals: 2 })
  expect(consume('wide', { limit: 9 }).windows).toEqual([{ count: 2, msLeft: 60_000 }])
})

it('gives back in the window that was charged, and never in the next', () => {
  const { consume, later } = startStore()
  const charged = consume('key')
  charged.refund()
  const late = consume('key')
  expect(late.windows[0]?.count).toBe(1)
  later(60_000)
  consume('key')
  late.refund()
  expect(consume('key').windows[0]?.count).toBe(2)
})

it('remembers so many windows and no more, the youngest of them', () => {
  const { consume } = startStore(100)
  for (let n = 0; n < 1000; n += 1) consume(`stranger ${n}`)
  expect(consume('stranger 999').windows[0]?.count).toBe(2)
  expect(consume('stranger 0').windows[0]?.count).toBe(1)
})
