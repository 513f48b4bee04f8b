/** Starts everything in the order of its dependencies, and stops it in the reverse one. */
import { createApp } from '#/app.ts'
import type { Config } from '#/config.ts'
import { type OpenDatabase, openDatabase } from '#/database/client.ts'
import { startLateIndexes } from '#/database/late-indexes.ts'
import { observePools } from '#/database/observe-pools.ts'
import { createEntityCounts } from '#/domain/entity-counts/caches.ts'
import { observeEntityCounts } from '#/domain/entity-counts/observe.ts'
import { observeKeys } from '#/domain/keys/observe-keys.ts'
import { prepareKeys } from '#/domain/keys/prepare-keys.ts'
import type { KeyRotation } from '#/domain/keys/rotate-keys.ts'
import type { DeliveryOptions } from '#/domain/logout-deliveries/deliver.ts'
import { logoutChannel } from '#/domain/logout-deliveries/queue-deliveries.ts'
import { startLogoutWorker } from '#/domain/logout-deliveries/worker.ts'
import { createFetchDocument, type FetchDocument } from '#/domain/outbound/fetch-document.ts'
import { startSweeper } from '#/domain/sweeper/sweeper.ts'
import { findPasswordProblem, passwordProblems } from '#/domain/users/password-rules.ts'
import { createLog, type Log } from '#/telemetry/log.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { printBanner } from './banner.ts'
import { admin, createFirstAccounts, type FirstCredentials } from './bootstrap.ts'
import { readBuildInfo } from './build-info.ts'
import { type Caches, createCaches } from './caches.ts'
import { databaseAddress } from './database-address.ts'
import { createDrain } from './drain.ts'
import { keyRotation } from './key-rotation.ts'
import { listen } from './listen.ts'
import type { Stoppable } from './process.ts'
import { connectRedis } from './redis.ts'
import { auditRepeated, noteWrongTokens } from './repeated-events.ts'
import { retentionOf } from './retention.ts'
import { startTelemetry, type Telemetry } from './telemetry.ts'

const countTimeoutMs = 5000
const clock = () => new Date()

export async function startServer(config: Config, secrets: readonly string[]): Promise<Stoppable> {
  const build = readBuildInfo(config.AUTHGATE_COMMIT)
  const log = createLog({ level: config.LOG_LEVEL })
  const telemetry = startTelemetry(config, build, log)
  const { recorder } = telemetry
  const { database, entityCounts, first } = await prepareDatabase(config, secrets, {
    telemetry,
    log,
  })
  const caches = await createCaches(database, {
    recorder,
    secrets,
    ttlMs: config.CLIENT_CACHE_TTL,
    algorithm: config.JWT_SIGNING_ALGORITHM,
    clock,
  })
  // From now on they are at hand, whatever becomes of the database.
  await caches.keys()
  const rotation = keyRotation(config, secrets)
  if (config.metricsEnabled)
    observeKeys(telemetry.metrics.meter, { keys: caches.keys, schedule: rotation, clock })
  const redis = config.REDIS_URL === undefined ? undefined : connectRedis(config.REDIS_URL, log)
  let draining = false
  const repeatedEvents = auditRepeated(database.db, { recorder, log })
  const told = { config, recorder, log, repeatedEvents, clock }
  const fetchDocument = createFetchDocument({
    privateAddresses: config.OUTBOUND_PRIVATE_ADDRESSES,
    recorder,
  })
  const app = createApp({
    ...told,
    secrets,
    db: database.db,
    ...caches,
    entityCounts,
    redis,
    fetchDocument,
    ready: database.ready,
    draining: () => draining,
  })
  const listener = await listen(app.fetch, { config, log, recorder })
  const scrape = await telemetry.listen(noteWrongTokens(told))
  const stopBackground = await startBackground(database, {
    config,
    recorder,
    log,
    rotation,
    caches,
    fetchDocument,
  })
  printBanner({ config, build, first, embedded: database.embedded })
  log.info({ ...build, address: `${config.HOST}:${config.PORT}` }, 'started')
  return {
    reportUncaught(kind, error) {
      recorder.uncaughtError(kind)
      log.error({ err: error, kind }, 'uncaught error')
    },
    ...createDrain({
      delayMs: config.shutdownDelayMs,
      timeoutMs: config.SERVER_SHUTDOWN_TIMEOUT,
      begin() {
        draining = true
      },
      ends: (timeoutMs) => [listener.close(timeoutMs), ...stopBackground()],
      scrape,
      repeatedEvents,
      telemetry,
      redis,
      database,
      log,
    }),
  }
}

interface Background {
  readonly config: Config
  readonly recorder: Recorder
  readonly log: Log
  readonly rotation: KeyRotation
  readonly caches: Caches
  readonly fetchDocument: FetchDocument
}

/** What works without being asked; the answer stops all of it. */
async function startBackground(
  database: OpenDatabase,
  { config, recorder, log, rotation, caches, fetchDocument }: Background,
) {
  const stopSweeper = startSweeper(database.db, {
    recorder,
    origin: { enabled: config.ENABLE_AUDIT_LOGGING },
    retention: retentionOf(config),
    keyRotation: rotation,
    intervalMs: config.SESSION_SWEEP_INTERVAL,
    clock,
    log,
  })
  const logouts = await startLogouts(database, {
    recorder,
    issuer: config.BASE_URL,
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

/** Opens the database and, where gauges are wanted, lets them ask it. */
async function prepareDatabase(
  config: Config,
  secrets: readonly string[],
  { telemetry, log }: { readonly telemetry: Telemetry; readonly log: Log },
) {
  const { recorder, metrics } = telemetry
  let first: FirstCredentials | undefined
  const database = await openDatabase({
    ...databaseAddress(config),
    warn: (message) => log.warn(message),
    dataDir: config.DATA_DIR,
    poolSize: config.DB_MAX_OPEN_CONNS,
    countTimeoutMs,
    timeoutMs: config.DB_TIMEOUT,
    onAvailability: logAvailability(log),
    record: config.metricsEnabled ? recorder.databaseOperation : undefined,
    async prepare(db) {
      const { created, resealed } = await prepareKeys(db, secrets, clock())
      recorder.signingKeys('created', created)
      recorder.signingKeys('resealed', resealed)
      const { DEFAULT_ADMIN_PASSWORD: password, DATA_DIR: dataDir, BASE_URL: issuer } = config
      first = await createFirstAccounts(db, { password, dataDir, now: clock() })
      const weak = first && password && (await findPasswordProblem(password, { ...admin, issuer }))
      // Existing installations with a weak password must still start.
      if (weak) log.warn(`DEFAULT_ADMIN_PASSWORD should be changed. ${passwordProblems[weak]}`)
    },
  })
  const bounds = { ttlMs: config.METRICS_POPULATION_TTL, loadTimeoutMs: countTimeoutMs }
  const entityCounts = createEntityCounts(database.populationDb, { recorder, clock, ...bounds })
  if (config.metricsEnabled) {
    observePools(metrics.meter, database.pools)
    observeEntityCounts(metrics.meter, entityCounts)
  }
  return { database, entityCounts, first }
}

/** Once each way; while it lasts, requests are refused without a word each. */
const logAvailability = (log: Log) => (isUp: boolean, error: unknown) => {
  if (isUp) log.info('the database is back')
  else log.error({ err: error }, 'the database is unreachable; requests are refused')
}
