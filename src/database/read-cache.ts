/**
 * A small read-through cache for rows that are read often and change rarely. Entries live for a TTL and are dropped at
 * once by an invalidation; a load that began before it is not kept, so nobody who asks later can see the old row.
 */
import { LRUCache } from 'lru-cache'
import { withoutDeadline } from './deadline.ts'

type LookupOutcome = 'hit' | 'miss' | 'coalesced' | 'error'

export interface ReadCache<V> {
  /** The value, or undefined when there is none; absence is cached too. Rejects when the load does. */
  get(key: string): Promise<V | undefined>
  /** Drops one entry, or all of them. */
  invalidate(key?: string): void
}

export interface ReadCacheOptions<V> {
  readonly load: (key: string) => Promise<V | undefined>
  readonly ttlMs: number
  /** Most entries; the least recently used goes first, so that made-up keys cost no more than this. */
  readonly max: number
  readonly onLookup: (outcome: LookupOutcome) => void
}

export function createReadCache<V extends object>({
  load,
  ttlMs,
  max,
  onLookup,
}: ReadCacheOptions<V>): ReadCache<V> {
  const entries = new LRUCache<string, { value: V | undefined }>({ max, ttl: Math.max(1, ttlMs) })
  const loading = new Map<string, Promise<V | undefined>>()

  async function fill(
    key: string,
    own: { promise?: Promise<V | undefined> },
  ): Promise<V | undefined> {
    try {
      const value = await load(key)
      if (loading.get(key) === own.promise && ttlMs > 0) entries.set(key, { value })
      return value
    } catch (error) {
      onLookup('error')
      throw error
    } finally {
      if (loading.get(key) === own.promise) loading.delete(key)
    }
  }

  return {
    get(key) {
      const entry = entries.get(key)
      if (entry) {
        onLookup('hit')
        return Promise.resolve(entry.value)
      }
      const underway = loading.get(key)
      if (underway !== undefined) {
        onLookup('coalesced')
        return underway
      }
      onLookup('miss')
      const own: { promise?: Promise<V | undefined> } = {}
      own.promise = withoutDeadline(() => Promise.resolve().then(() => fill(key, own)))
      loading.set(key, own.promise)
      return own.promise
    },
    invalidate(key) {
      if (key === undefined) {
        entries.clear()
        loading.clear()
      } else {
        entries.delete(key)
        loading.delete(key)
      }
    },
  }
}
