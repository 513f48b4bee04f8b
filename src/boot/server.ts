/** Starts everything in the order of its dependencies, and stops it in the reverse one. */
import { createApp } from '#/app.ts'
import type { Config } from '#/config/config.ts'
import { startLateIndexes } from '#/database/late-indexes.ts'
import { observePools } from '#/database/observe-pools.ts'
import { type OpenDatabase, openDatabase } from '#/database/open-database.ts'
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
import { createDrain } from './drain.ts'
import { listen } from './listen.ts'
import type { Stoppable } from './process.ts'
import { connectRedis } from './redis.ts'
import { auditRepeated, noteWrongTokens } from './repeated-events.ts'
import { retentionOf } from './retention.ts'
import { startTelemetry, type Telemetry } from './telemetry.ts'

const countTimeoutMs = 5000
const clock = () => new Date()

export async function startServer(config: Config, secrets: readonly string[]): Promise<Stoppable> {
  const build = readBuildInfo(config.telemetry.commit)
  const log = createLog({ level: config.telemetry.log.level })
  const telemetry = startTelemetry(config.telemetry, build, log)
  const { recorder } = telemetry
  const { database, entityCounts, first } = await prepareDatabase(config, secrets, {
    telemetry,
    log,
  })
  const caches = await createCaches(database, {
    recorder,
    secrets,
    ttlMs: config.clients.cacheTtlMs,
    algorithm: config.tokens.signingAlgorithm,
    clock,
  })
  // From now on they are at hand, whatever becomes of the database.
  await caches.keys()
  const rotation = { secrets, ...config.tokens.keyRotation }
  if (config.telemetry.metrics.enabled)
    observeKeys(telemetry.metrics.meter, { keys: caches.keys, schedule: rotation, clock })
  const { redisUrl } = config.limits
  const redis = redisUrl === undefined ? undefined : connectRedis(redisUrl, log)
  let draining = false
  const repeatedEvents = auditRepeated(database.db, { recorder, log })
  const told = { config, recorder, log, repeatedEvents, clock }
  const fetchDocument = createFetchDocument({
    privateAddresses: config.server.privateAddresses,
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
  const listener = await listen(app.fetch, { ...config.server, log, recorder })
  const scrape = await telemetry.listen(
    noteWrongTokens({ auditing: config.audit.enabled, ...told }),
  )
  const stopBackground = await startBackground(database, {
    config,
    recorder,
    log,
    rotation,
    caches,
    fetchDocument,
  })
  printBanner({ config, build, first, embedded: database.embedded })
  log.info({ ...build, address: `${config.server.host}:${config.server.port}` }, 'started')
  return {
    reportUncaught(kind, error) {
      recorder.uncaughtError(kind)
      log.error({ err: error, kind }, 'an error that nobody caught')
    },
    ...createDrain({
      ...config.server.shutdown,
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

/** Delivers logout tokens: what is due at the start, and whatever any replica announces. */
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
    ...config.database,
    warn: (message) => log.warn(message),
    countTimeoutMs,
    onAvailability: logAvailability(log),
    record: config.telemetry.metrics.enabled ? recorder.databaseOperation : undefined,
    async prepare(db) {
      const { created, resealed } = await prepareKeys(db, secrets, clock())
      recorder.signingKeys('created', created)
      recorder.signingKeys('resealed', resealed)
      const { adminPassword: password } = config.signIn
      const { dataDir } = config.database
      const issuer = config.server.baseUrl
      first = await createFirstAccounts(db, { password, dataDir, now: clock() })
      const weak = first && password && (await findPasswordProblem(password, { ...admin, issuer }))
      // Whoever has it in their installation is to get a server all the same.
      if (weak) log.warn(`DEFAULT_ADMIN_PASSWORD should be changed. ${passwordProblems[weak]}`)
    },
  })
  const bounds = { ttlMs: config.telemetry.metrics.populationTtlMs, loadTimeoutMs: countTimeoutMs }
  const entityCounts = createEntityCounts(database.populationDb, { recorder, clock, ...bounds })
  if (config.telemetry.metrics.enabled) {
    observePools(metrics.meter, database.pools)
    observeEntityCounts(metrics.meter, entityCounts)
  }
  return { database, entityCounts, first }
}

/** Once each way; while it lasts, requests are refused without a word each. */
const logAvailability = (log: Log) => (isUp: boolean, error: unknown) => {
  if (isUp) log.info('the database is back')
  else log.error({ err: error }, 'the database is out of reach; requests are refused')
}
