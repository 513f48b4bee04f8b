import { describe, expect, it } from 'vitest'
import { createReadCache } from '#/database/read-cache.ts'

interface Row {
  readonly version: number
}

function setUp({ ttlMs = 60_000, max = 10 } = {}) {
  const outcomes: string[] = []
  const pending: { resolve(row: Row | undefined): void; reject(error: Error): void }[] = []
  const cache = createReadCache<Row>({
    load: () => new Promise((resolve, reject) => pending.push({ resolve, reject })),
    ttlMs,
    max,
    onLookup: (outcome) => outcomes.push(outcome),
  })
  const settle = async (n: number, row: Row | undefined) => {
    await Promise.resolve()
    pending[n]?.resolve(row)
  }
  return { cache, outcomes, pending, settle }
}

describe('the read cache', () => {
  it('loads once for lookups that meet, and tells hits, misses and coalesced ones apart', async () => {
    const { cache, outcomes, pending, settle } = setUp()
    const both = Promise.all([cache.get('a'), cache.get('a')])
    await settle(0, { version: 1 })
    expect(await both).toEqual([{ version: 1 }, { version: 1 }])
    expect(await cache.get('a')).toEqual({ version: 1 })
    expect([pending.length, outcomes]).toEqual([1, ['miss', 'coalesced', 'hit']])
  })

  it('remembers that there is nothing', async () => {
    const { cache, outcomes, settle } = setUp()
    const first = cache.get('a')
    await settle(0, undefined)
    expect([await first, await cache.get('a'), outcomes]).toEqual([
      undefined,
      undefined,
      ['miss', 'hit'],
    ])
  })

  it('drops a load that began before an invalidation, for everybody who asks after it', async () => {
    const { cache, settle } = setUp()
    const early = cache.get('a')
    await Promise.resolve()
    cache.invalidate('a')
    const late = cache.get('a')
    await settle(1, { version: 2 })
    await settle(0, { version: 1 })
    expect([await early, await late]).toEqual([{ version: 1 }, { version: 2 }])
    expect(await cache.get('a')).toEqual({ version: 2 })
  })

  it('forgets everything when told so without a key', async () => {
    const { cache, outcomes, settle } = setUp()
    const first = cache.get('a')
    await settle(0, { version: 1 })
    await first
    cache.invalidate()
    const second = cache.get('a')
    await settle(1, { version: 2 })
    expect([await second, outcomes]).toEqual([{ version: 2 }, ['miss', 'miss']])
  })

  it('rejects with a failed load, counts it, and tries again', async () => {
    const { cache, outcomes, pending, settle } = setUp()
    const failed = cache.get('a')
    await Promise.resolve()
    pending[0]?.reject(new Error('down'))
    await expect(failed).rejects.toThrow('down')
    const again = cache.get('a')
    await settle(1, { version: 1 })
    expect([await again, outcomes]).toEqual([{ version: 1 }, ['miss', 'error', 'miss']])
  })

  it('keeps nothing with a ttl of zero, and no more than its most', async () => {
    const never = setUp({ ttlMs: 0 })
    const first = never.cache.get('a')
    await never.settle(0, { version: 1 })
    await first
    void never.cache.get('a')
    expect(never.outcomes).toEqual(['miss', 'miss'])
    const small = setUp({ max: 2 })
    for (const [n, key] of ['a', 'b', 'c'].entries()) {
      const loaded = small.cache.get(key)
      await small.settle(n, { version: n })
      await loaded
    }
    void small.cache.get('a')
    expect(small.outcomes).toEqual(['miss', 'miss', 'miss', 'miss'])
  })
})
