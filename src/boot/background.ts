/** What works without being asked: the sweeper, deliveries of logout tokens, indexes that are still to be built. */
import type { Config } from '#/config/config.ts'
import { startLateIndexes } from '#/database/late-indexes.ts'
import type { OpenDatabase } from '#/database/open-database.ts'
import type { KeyRotation } from '#/domain/keys/rotate-keys.ts'
import type { DeliveryOptions } from '#/domain/logout-deliveries/deliver.ts'
import { logoutChannel } from '#/domain/logout-deliveries/queue-deliveries.ts'
import { startLogoutWorker } from '#/domain/logout-deliveries/worker.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import { startSweeper } from '#/domain/sweeper/sweeper.ts'
import type { Log } from '#/telemetry/log.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import type { Caches } from './caches.ts'
import { retentionOf } from './retention.ts'

interface Background {
  readonly config: Config
  readonly recorder: Recorder
  readonly log: Log
  readonly clock: () => Date
  readonly rotation: KeyRotation
  readonly caches: Caches
  readonly fetchDocument: FetchDocument
}

/** The answer stops all of it. */
export async function startBackground(
  database: OpenDatabase,
  { config, recorder, log, clock, rotation, caches, fetchDocument }: Background,
) {
  const stopSweeper = startSweeper(database.db, {
    recorder,
    origin: { enabled: config.audit.enabled },
    retention: retentionOf(config),
    keyRotation: rotation,
    intervalMs: config.sessions.sweepIntervalMs,
    clock,
    log,
  })
  const logouts = await startLogouts(database, {
    recorder,
    issuer: config.server.baseUrl,
    keys: caches.keys,
    fetchDocument,
    clock,
    log,
  })
  const indexes =
    database.migrator === undefined ? undefined : startLateIndexes(database.migrator, log)
  return () => [stopSweeper(), logouts.stop(), indexes?.stop()]
}

/** Delivers logout tokens: those that are due at the start, and those that any replica announces. */
async function startLogouts({ db, listen }: OpenDatabase, options: DeliveryOptions & { log: Log }) {
  const worker = startLogoutWorker(db, options)
  await listen(logoutChannel, worker.wake, worker.wake)
  return worker
}
