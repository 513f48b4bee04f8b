/** How replicas hear, when a transaction commits, that something which they keep in memory has changed. */
import { type Database, notify } from './client.ts'

export const cacheChannel = 'authgate_cache'

/** Drops a client, or the signing keys, from every replica's cache. */
export const announceChange = (tx: Database, what: `client:${string}` | 'keys'): Promise<void> =>
  notify(tx, cacheChannel, what)
