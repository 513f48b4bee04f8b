/**
 * Counters of the rate limits, in the memory of this process or in a Redis that all replicas share. All limits of a
 * request are charged at once, or none, so that a refused request costs nothing.
 */
import type { Redis } from 'ioredis'
import { consumeScript, refundScript } from './redis-scripts.ts'

/** One count that a request is held to. */
export interface Charge {
  /** The limiter and whom it counts. */
  readonly key: string
  readonly limit: number
  readonly windowMs: number
  /** Stays counted when the rest is given back. */
  readonly kept?: true
}

export interface Charged {
  /** The first window that was full; then nothing was counted anywhere. */
  readonly refused: number | undefined
  /** How often that window has refused by now. */
  readonly refusals: number
  /** What each window holds; of a refusal, the full one's alone. */
  readonly windows: readonly { readonly count: number; readonly msLeft: number }[]
  /** Gives back what was counted and is not kept, in the very windows it was counted in. */
  refund(): void
}

export interface LimitStore {
  /** `error` is a store that failed at this question, `fallback` one that was known to be out of reach and not asked. */
  consume(
    charges: readonly Charge[],
  ): Promise<Charged & { readonly trouble?: 'error' | 'fallback' }>
}

/** A Redis whose state is known. */
export interface SharedRedis {
  readonly redis: Redis
  /** False from the first failure until it has answered again. */
  isUp(): boolean
  /** Called on every failure. */
  failed(error: unknown): void
  close(): void
}

interface Window {
  count: number
  refusals: number
  readonly endsAt: number
}

/** Windows of each length; beyond it the oldest gives way, which is the one that would end first. */
const maxWindows = 100_000

export interface MemoryStore {
  consume(charges: readonly Charge[]): Charged
}

/** Counts in this process, and remembers so many windows at most. */
export function createMemoryStore(now: () => number, most = maxWindows): MemoryStore {
  // One map for each length, so that the order of insertion is the order in which windows end.
  const lengths = new Map<number, Map<string, Window>>()
  const find = (key: string) => {
    for (const windows of lengths.values()) {
      const window = windows.get(key)
      if (window && window.endsAt > now()) return window
    }
    return undefined
  }
  const open = ({ key, windowMs }: Charge) => {
    const windows = lengths.get(windowMs) ?? new Map<string, Window>()
    lengths.set(windowMs, windows)
    dropEnded(windows, now(), most)
    const window = { count: 0, refusals: 0, endsAt: now() + windowMs }
    windows.delete(key)
    windows.set(key, window)
    return window
  }
  return {
    consume(charges) {
      const msLeft = ({ endsAt }: Window) => endsAt - now()
      const found = charges.map(({ key }) => find(key))
      const refused = charges.findIndex(({ limit }, n) => (found[n]?.count ?? 0) >= limit)
      const full = found[refused]
      if (full) {
        full.refusals += 1
        const windows = [{ count: full.count, msLeft: msLeft(full) }]
        return { refused, refusals: full.refusals, windows, refund: () => {} }
      }
      const charged = charges.map((charge, n) => found[n] ?? open(charge))
      for (const window of charged) window.count += 1
      return {
        refused: undefined,
        refusals: 0,
        windows: charged.map((window) => ({ count: window.count, msLeft: msLeft(window) })),
        refund() {
          charged.forEach((window, n) => {
            if (!charges[n]?.kept) window.count -= 1
          })
        },
      }
    },
  }
}

function dropEnded(windows: Map<string, Window>, now: number, most: number) {
  for (const [key, { endsAt }] of windows) {
    if (endsAt > now && windows.size < most) return
    windows.delete(key)
  }
}

/** Counts in Redis; while that is out of reach, in this process. */
export function createSharedStore(shared: SharedRedis, own: MemoryStore): LimitStore {
  const { redis } = shared
  return {
    async consume(charges) {
      if (!shared.isUp()) return { ...own.consume(charges), trouble: 'fallback' }
      try {
        return await consumeShared(redis, charges)
      } catch (error) {
        shared.failed(error)
        return { ...own.consume(charges), trouble: 'error' }
      }
    },
  }
}

/** In one slot of a cluster, since one script touches several. */
const keyOf = (key: string) => `{authgate:limits}:${key}`

async function consumeShared(redis: Redis, charges: readonly Charge[]): Promise<Charged> {
  const id = crypto.randomUUID()
  const keys = charges.map(({ key }) => keyOf(key))
  const bounds = charges.flatMap(({ limit, windowMs }) => [limit, windowMs])
  const answer = await redis.eval(consumeScript, keys.length, ...keys, id, ...bounds)
  const [refused, refusals, ...rest] = answer as [number, number, ...(string | number)[]]
  const windows = Array.from({ length: rest.length / 3 }, (_, n) => ({
    count: Number(rest[3 * n]),
    msLeft: Number(rest[3 * n + 1]),
    id: String(rest[3 * n + 2]),
  }))
  return {
    refused: refused === 0 ? undefined : refused - 1,
    refusals,
    windows,
    refund() {
      const back = charges.flatMap(({ kept }, n) => (kept ? [] : [n]))
      const [of, ids] = [back.map((n) => keys[n] ?? ''), back.map((n) => windows[n]?.id ?? '')]
      // Commands of one connection keep their order, so whatever asks next sees it; what gets lost ends with its window.
      redis.eval(refundScript, of.length, ...of, ...ids).catch(() => {})
    },
  }
}
