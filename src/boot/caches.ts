import type { OpenDatabase } from '#/database/client.ts'
import { createReadCache, type ReadCache } from '#/database/read-cache.ts'
import { type Client, cacheChannel, findClient } from '#/domain/clients/clients.ts'
import { type KeySet, loadKeySet } from '#/domain/keys/keys.ts'
import type { Recorder } from '#/telemetry/recorder.ts'

export interface Caches {
  readonly clients: ReadCache<Client>
  keys(): Promise<KeySet>
}

/** Clients and keys: read often, changed rarely, dropped everywhere by the NOTIFY of the transaction that changes one. */
export async function createCaches(
  { db, listen }: OpenDatabase,
  { recorder, secrets, ttlMs }: { recorder: Recorder; secrets: readonly string[]; ttlMs: number },
): Promise<Caches> {
  const clients = createReadCache({
    load: (clientId) => findClient(db, clientId),
    ttlMs,
    max: 10_000,
    onLookup: (outcome) => recorder.cacheLookup('client', outcome),
  })
  const keySets = createReadCache({
    load: () => loadKeySet(db, secrets),
    ttlMs,
    max: 1,
    onLookup: (outcome) => recorder.cacheLookup('signing_keys', outcome),
  })
  const flush = () => {
    clients.invalidate()
    keySets.invalidate()
  }
  await listen(
    cacheChannel,
    (payload) => (payload.startsWith('client:') ? clients.invalidate(payload.slice(7)) : flush()),
    flush,
  )
  return {
    clients,
    async keys() {
      const keys = await keySets.get('all')
      if (!keys) throw new Error('there are no signing keys')
      return keys
    },
  }
}
