import { cacheChannel } from '#/database/cache-channel.ts'
import { keepLast } from '#/database/keep-last.ts'
import type { OpenDatabase } from '#/database/open-database.ts'
import { createReadCache, type ReadCache } from '#/database/read-cache.ts'
import type { VersionedClient } from '#/domain/clients/client-version.ts'
import { findClient } from '#/domain/clients/clients.ts'
import { type KeySet, loadKeySet, type OpenedKeys } from '#/domain/keys/keys.ts'
import type { SigningAlgorithm } from '#/protocol/vocabulary.ts'
import type { Recorder } from '#/telemetry/recorder.ts'

export interface Caches {
  readonly clients: ReadCache<VersionedClient>
  keys(): Promise<KeySet>
}

interface CacheOptions {
  readonly recorder: Recorder
  readonly secrets: readonly string[]
  readonly ttlMs: number
  readonly algorithm: SigningAlgorithm
  readonly clock: () => Date
}

/** Clients and keys: read often, changed rarely, dropped everywhere by the NOTIFY of the transaction that changes one. */
export async function createCaches(
  { db, canListen, listen }: Pick<OpenDatabase, 'db' | 'canListen' | 'listen'>,
  { recorder, ttlMs: wanted, ...keyOptions }: CacheOptions,
): Promise<Caches> {
  const ttlMs = canListen ? wanted : Math.min(wanted, maxUnheardTtlMs)
  const clients = createReadCache({
    load: (clientId) => findClient(db, clientId),
    ttlMs,
    max: 10_000,
    onLookup: (outcome) => recorder.cacheLookup('client', outcome),
  })
  const opened: OpenedKeys = { keys: new Map() }
  const keySets = createReadCache({
    load: () => loadKeySet(db, { ...keyOptions, opened, reload }),
    ttlMs: Math.min(ttlMs, maxKeyTtlMs),
    max: 1,
    onLookup: (outcome) => recorder.cacheLookup('signing_keys', outcome),
  })
  const kept = keepLast({
    async load(): Promise<KeySet> {
      const found = await keySets.get('all')
      if (!found) throw new Error('there are no signing keys')
      return found
    },
    waitMs: maxKeyWaitMs,
    alwaysAfresh: ttlMs === 0,
  })
  const forgetKeys = () => {
    keySets.invalidate()
    kept.outdate()
  }
  const reload = atMostEvery(reloadPauseMs, () => {
    forgetKeys()
    return kept.get()
  })
  const flush = () => {
    clients.invalidate()
    forgetKeys()
  }
  const forget = (payload: string) => {
    if (payload.startsWith('client:')) clients.invalidate(payload.slice(7))
    else if (payload === 'keys') forgetKeys()
    else flush()
  }
  await listen(cacheChannel, forget, flush)
  return { clients, keys: kept.get }
}

/** Maximum cache time where notifications do not arrive. */
const maxUnheardTtlMs = 5000

/** A replica that misses the news of a key still sees it long before its first use, whatever the TTL of clients. */
const maxKeyTtlMs = 60_000

/** How long a key set that is known to be outdated is waited for: the last one is better than none. */
const maxKeyWaitMs = 500

/** Tokens with unknown key ids cause at most one load in this time. */
const reloadPauseMs = 10_000

/** Repeats the last answer within an interval. */
function atMostEvery<T>(pauseMs: number, load: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly answer: Promise<T> } | undefined
  return () => {
    if (!last || performance.now() - last.at >= pauseMs)
      last = { at: performance.now(), answer: load() }
    return last.answer
  }
}
