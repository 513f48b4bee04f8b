import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createTtlCache, type TtlCacheOptions } from '#/telemetry/ttl-cache.ts'

/** Loads that the test answers when it wants to, in the order of their starts. */
function controlledLoads() {
  const started: (PromiseWithResolvers<number> & { signal: AbortSignal })[] = []
  return {
    started,
    load: (signal: AbortSignal) => {
      const one = { ...Promise.withResolvers<number>(), signal }
      started.push(one)
      return one.promise
    },
    at(index: number) {
      const one = started[index]
      if (!one) throw new Error(`load ${index} was not started`)
      return one
    },
  }
}

function cacheOf(
  options: Partial<TtlCacheOptions<number>> & Pick<TtlCacheOptions<number>, 'load'>,
) {
  const lookups: string[] = []
  const errors: unknown[] = []
  const durations: number[] = []
  const cache = createTtlCache<number>({
    ttlMs: 1000,
    maxWaitMs: 250,
    maxStaleMs: 300_000,
    loadTimeoutMs: 5000,
    retryMs: 2000,
    onLookup: (outcome) => lookups.push(outcome),
    onError: (error) => errors.push(error),
    onLoaded: (seconds) => durations.push(seconds),
    ...options,
  })
  return { ...cache, lookups, errors, durations }
}

/** Time passes and everything that was due happens. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('rule 1: a value younger than the TTL', () => {
  it('is answered without a load', async () => {
    const load = vi.fn(async () => 7)
    const cache = cacheOf({ load })
    await cache.get()
    await pass(999)
    expect(await cache.get()).toEqual({ value: 7, ageSeconds: 0.999 })
    expect(load).toHaveBeenCalledTimes(1)
    expect(cache.lookups).toEqual(['miss', 'hit'])
  })

  it('is loaded again at the TTL, not after it', async () => {
    const load = vi.fn(async () => 7)
    const cache = cacheOf({ load })
    await cache.get()
    await pass(1000)
    await cache.get()
    expect(load).toHaveBeenCalledTimes(2)
  })

  it('has the age of the start of its load', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const answer = cache.get()
    await pass(15)
    loads.at(0).resolve(1)
    expect(await answer).toEqual({ value: 1, ageSeconds: 0.015 })
    await pass(10)
    expect(await cache.get()).toEqual({ value: 1, ageSeconds: 0.025 })
  })

  it('is measured on the given clock', async () => {
    let now = 5000
    const cache = cacheOf({ load: async () => 1, now: () => now })
    await cache.get()
    now += 400
    expect((await cache.get())?.ageSeconds).toBe(0.4)
  })
})

describe('rule 2: a value past the TTL', () => {
  it('is replaced by the load that the reader begins and waits for', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const first = cache.get()
    loads.at(0).resolve(1)
    await first
    await pass(1500)
    const second = cache.get()
    await pass(249)
    loads.at(1).resolve(2)
    expect((await second)?.value).toBe(2)
  })

  it('is loaded once for all who ask meanwhile', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const answers = [cache.get(), cache.get(), cache.get()]
    await pass(10)
    const late = cache.get()
    loads.at(0).resolve(3)
    const found = await Promise.all([...answers, late])
    expect(found.map((one) => one?.value)).toEqual([3, 3, 3, 3])
    expect(loads.started).toHaveLength(1)
    expect(cache.lookups).toEqual(['miss', 'coalesced', 'coalesced', 'coalesced'])
  })

  it('is served, with its true age, only after the load was waited for', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const first = cache.get()
    loads.at(0).resolve(1)
    await first
    await pass(1500)
    let answered = false
    const second = cache.get().then((found) => {
      answered = true
      return found
    })
    await pass(249)
    expect(answered).toBe(false)
    await pass(1)
    expect(await second).toEqual({ value: 1, ageSeconds: 1.75 })
  })

  it('is served no longer than maxStale', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load, maxStaleMs: 3000, loadTimeoutMs: 60_000 })
    const first = cache.get()
    loads.at(0).resolve(1)
    await first
    await pass(2000)
    const young = cache.get()
    await pass(250)
    expect((await young)?.value).toBe(1)
    await pass(600)
    const old = cache.get()
    await pass(250)
    expect(await old).toBeUndefined()
  })

  it('is followed by the late value, for whoever asks next', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const first = cache.get()
    await pass(250)
    expect(await first).toBeUndefined()
    await pass(50)
    loads.at(0).resolve(9)
    await pass(0)
    expect(await cache.get()).toEqual({ value: 9, ageSeconds: 0.3 })
    expect(loads.started).toHaveLength(1)
  })
})

describe('rule 3: nothing usable', () => {
  it('is undefined after maxWait, never a made-up value', async () => {
    const cache = cacheOf({ load: () => new Promise<number>(() => undefined) })
    const answer = cache.get()
    await pass(250)
    expect(await answer).toBeUndefined()
  })

  it('is undefined when the load throws at once', async () => {
    const cache = cacheOf({
      load: () => {
        throw new Error('not even a promise')
      },
    })
    expect(await cache.get()).toBeUndefined()
    expect(cache.errors).toHaveLength(1)
  })
})

describe('rule 4: a failed load', () => {
  const failingAfterOne = () => {
    let calls = 0
    return vi.fn(async () => {
      calls += 1
      if (calls === 2 || calls === 3) throw new Error('database is away')
      return calls
    })
  }

  it('keeps the last good value and counts one error', async () => {
    const cache = cacheOf({ load: failingAfterOne() })
    await cache.get()
    await pass(1000)
    expect((await cache.get())?.value).toBe(1)
    expect(cache.errors).toHaveLength(1)
    expect(cache.lookups).toEqual(['miss', 'miss', 'error'])
  })

  it('is not tried again before the retry pause is over', async () => {
    const load = failingAfterOne()
    const cache = cacheOf({ load })
    await cache.get()
    await pass(1000)
    await cache.get()
    await pass(1999)
    expect((await cache.get())?.value).toBe(1)
    expect(load).toHaveBeenCalledTimes(2)
    await pass(1)
    await cache.get()
    expect(load).toHaveBeenCalledTimes(3)
  })

  it('is forgotten once a load succeeds', async () => {
    const load = failingAfterOne()
    const cache = cacheOf({ load })
    for (let i = 0; i < 4; i += 1) {
      await cache.get()
      await pass(2000)
    }
    expect(load).toHaveBeenCalledTimes(4)
    expect((await cache.get())?.value).toBe(5)
    expect(cache.errors).toHaveLength(2)
  })

  it('never rejects a reader, and counts once however many waited', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const answers = [cache.get(), cache.get(), cache.get()]
    loads.at(0).reject(new Error('away'))
    expect(await Promise.all(answers)).toEqual([undefined, undefined, undefined])
    expect(cache.errors).toHaveLength(1)
  })
})

describe('rule 5: a load that takes too long', () => {
  it('is aborted at the timeout and counted as one error', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const answer = cache.get()
    await pass(4999)
    expect(loads.at(0).signal.aborted).toBe(false)
    await pass(1)
    await answer
    expect(loads.at(0).signal.aborted).toBe(true)
    expect(cache.errors).toHaveLength(1)
  })

  it('has its late result dropped', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const answer = cache.get()
    await pass(5000)
    await answer
    loads.at(0).resolve(666)
    await pass(10)
    expect(await cache.get()).toBeUndefined()
    expect(cache.durations).toEqual([])
  })

  it('has its late failure dropped without an unhandled rejection', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const answer = cache.get()
    await pass(5000)
    await answer
    loads.at(0).reject(new Error('cancelled'))
    await pass(10)
    expect(cache.errors).toHaveLength(1)
  })

  it('cannot overwrite the value of the load after it', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const first = cache.get()
    await pass(5000)
    await first
    await pass(2000)
    const second = cache.get()
    loads.at(1).resolve(2)
    expect((await second)?.value).toBe(2)
    loads.at(0).resolve(1)
    await pass(10)
    expect((await cache.get())?.value).toBe(2)
  })

  it('waits longer each time when it goes on, up to 50 times what it costs', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const starts: number[] = []
    const begin = performance.now()
    for (let i = 0; i < 4000; i += 1) {
      const before = loads.started.length
      void cache.get()
      if (loads.started.length > before) starts.push(performance.now() - begin)
      await pass(500)
    }
    const pauses = starts.slice(1).map((start, i) => start - (starts[i] ?? 0) - 5000)
    expect(pauses.slice(0, 8)).toEqual([2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 250_000])
    expect(pauses[8]).toBe(250_000)
  })

  it('leaves no timer behind when it ends in time', async () => {
    const cache = cacheOf({ load: async () => 1 })
    await cache.get()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('rule 6: a load that takes long', () => {
  it('is repeated only after 50 times its duration', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    const first = cache.get()
    await pass(100)
    loads.at(0).resolve(1)
    await first
    expect(cache.durations).toEqual([0.1])
    await pass(4899)
    await cache.get()
    expect(loads.started).toHaveLength(1)
    await pass(1)
    void cache.get()
    expect(loads.started).toHaveLength(2)
  })

  it('counts its age and its duration from when it has begun, not from when it began to wait', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({
      load: async (signal, begin) => {
        await new Promise((resolve) => setTimeout(resolve, 200))
        begin()
        return loads.load(signal)
      },
    })
    const first = cache.get()
    await pass(210)
    loads.at(0).resolve(1)
    expect(await first).toEqual({ value: 1, ageSeconds: 0.01 })
    expect(cache.durations).toEqual([0.01])
  })

  it('is repeated at the TTL again once it is quick again', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ load: loads.load })
    void cache.get()
    await pass(100)
    loads.at(0).resolve(1)
    await pass(4900)
    void cache.get()
    loads.at(1).resolve(2)
    await pass(1000)
    void cache.get()
    expect(loads.started).toHaveLength(3)
  })
})

describe('a TTL of 0', () => {
  it('loads afresh for each reader', async () => {
    let value = 0
    const cache = cacheOf({ ttlMs: 0, load: async () => ++value })
    expect((await cache.get())?.value).toBe(1)
    expect((await cache.get())?.value).toBe(2)
    expect(cache.lookups).toEqual(['miss', 'miss'])
  })

  it('answers nobody with a load that began before the question', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ ttlMs: 0, load: loads.load })
    const first = cache.get()
    const second = cache.get()
    const third = cache.get()
    loads.at(0).resolve(1)
    await pass(0)
    loads.at(1).resolve(2)
    expect((await first)?.value).toBe(1)
    expect((await second)?.value).toBe(2)
    expect((await third)?.value).toBe(2)
    expect(loads.started).toHaveLength(2)
    expect(cache.lookups).toEqual(['miss', 'miss', 'coalesced'])
  })

  it('waits for the load timeout rather than for maxWait', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ ttlMs: 0, load: loads.load })
    const answer = cache.get()
    await pass(4000)
    loads.at(0).resolve(5)
    expect((await answer)?.value).toBe(5)
  })

  it('is bounded by the load timeout and serves no older value', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ ttlMs: 0, load: loads.load })
    const first = cache.get()
    loads.at(0).resolve(1)
    await first
    const second = cache.get()
    await pass(5000)
    expect(await second).toBeUndefined()
  })

  it('does not slow down after a long load', async () => {
    const loads = controlledLoads()
    const cache = cacheOf({ ttlMs: 0, load: loads.load })
    void cache.get()
    await pass(4000)
    loads.at(0).resolve(1)
    await pass(0)
    void cache.get()
    expect(loads.started).toHaveLength(2)
  })

  it('keeps away for the retry pause after a failure', async () => {
    const load = vi.fn(async () => {
      throw new Error('away')
    })
    const cache = cacheOf({ ttlMs: 0, load })
    expect(await cache.get()).toBeUndefined()
    await pass(1999)
    expect(await cache.get()).toBeUndefined()
    expect(load).toHaveBeenCalledTimes(1)
    await pass(1)
    await cache.get()
    expect(load).toHaveBeenCalledTimes(2)
  })
})
