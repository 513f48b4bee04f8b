/** Starts everything in the order of its dependencies, and stops it in the reverse one. */
import type { Redis } from 'ioredis'
import { createApp } from '#/app.ts'
import type { Config } from '#/config.ts'
import { type OpenDatabase, openDatabase } from '#/database/client.ts'
import { observePools } from '#/database/observe-pools.ts'
import { observeKeys } from '#/domain/keys/observe-keys.ts'
import { prepareKeys } from '#/domain/keys/prepare-keys.ts'
import { logoutChannel } from '#/domain/logout-deliveries/announce.ts'
import type { DeliveryOptions } from '#/domain/logout-deliveries/deliver.ts'
import { startLogoutWorker } from '#/domain/logout-deliveries/worker.ts'
import { createFetchDocument } from '#/domain/outbound/fetch-document.ts'
import { createPopulation } from '#/domain/population/caches.ts'
import { observePopulation } from '#/domain/population/observe.ts'
import { startSweeper } from '#/domain/sweeper/sweeper.ts'
import { createLog, type Log } from '#/telemetry/log.ts'
import { printBanner } from './banner.ts'
import { readBuildInfo } from './build-info.ts'
import { createCaches } from './caches.ts'
import { createFirstAccounts, type FirstCredentials } from './first-start.ts'
import { keyRotation } from './key-rotation.ts'
import { listen } from './listen.ts'
import { connectRedis } from './redis.ts'
import { retentionOf } from './retention.ts'
import { startTelemetry, type Telemetry } from './telemetry.ts'

export interface RunningServer {
  /** Drains within the configured bound, flushes, closes. Never rejects. */
  stop(): Promise<void>
}

const countTimeoutMs = 5000
const clock = () => new Date()

export async function startServer(
  config: Config,
  secrets: readonly string[],
): Promise<RunningServer> {
  const build = readBuildInfo(config.AUTHGATE_COMMIT)
  const log = createLog({ level: config.LOG_LEVEL })
  const telemetry = startTelemetry(config, build, log)
  const { recorder } = telemetry
  const { database, population, first } = await prepareDatabase(config, secrets, { telemetry, log })
  const { db } = database
  const caches = await createCaches(database, {
    recorder,
    secrets,
    ttlMs: config.CLIENT_CACHE_TTL,
    algorithm: config.JWT_SIGNING_ALGORITHM,
    clock,
  })
  const rotation = keyRotation(config, secrets)
  if (config.metricsEnabled)
    observeKeys(telemetry.metrics.meter, { keys: caches.keys, schedule: rotation, clock })
  const redis = config.REDIS_URL === undefined ? undefined : connectRedis(config.REDIS_URL, log)
  let draining = false
  const fetchDocument = createFetchDocument({
    privateAddresses: config.OUTBOUND_PRIVATE_ADDRESSES,
    recorder,
  })
  const app = createApp({
    config,
    secrets,
    db,
    recorder,
    log,
    ...caches,
    population,
    redis,
    fetchDocument,
    clock,
    ready: database.ready,
    draining: () => draining,
  })
  const listener = await listen(app.fetch, config)
  const scrape = await telemetry.listen()
  const stopSweeper = startSweeper(db, {
    recorder,
    origin: { enabled: config.ENABLE_AUDIT_LOGGING },
    retention: retentionOf(config),
    keyRotation: rotation,
    intervalMs: config.SESSION_SWEEP_INTERVAL,
    clock,
  })
  const logouts = await startLogouts(database, {
    recorder,
    issuer: config.BASE_URL,
    keys: caches.keys,
    fetchDocument,
    clock,
  })
  printBanner({ config, build, first, embedded: database.embedded })
  log.info({ ...build, address: `${config.HOST}:${config.PORT}` }, 'started')
  return {
    async stop() {
      draining = true
      log.info('draining')
      await listener.close(config.SERVER_SHUTDOWN_TIMEOUT)
      await stopSweeper()
      await logouts.stop()
      await scrape?.close()
      await release({ telemetry, redis, database, log })
      log.info('stopped')
    },
  }
}

/** Delivers logout tokens: what is due at the start, and whatever any replica announces. */
async function startLogouts({ db, listen: hear }: OpenDatabase, options: DeliveryOptions) {
  const worker = startLogoutWorker(db, options)
  await hear(logoutChannel, worker.wake, worker.wake)
  return worker
}

/** Opens the database and, where gauges are wanted, lets them ask it. */
async function prepareDatabase(
  config: Config,
  secrets: readonly string[],
  { telemetry, log }: Pick<Held, 'telemetry' | 'log'>,
) {
  const { recorder, metrics } = telemetry
  let first: FirstCredentials | undefined
  const database = await openDatabase({
    url: config.DATABASE_URL,
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
      const { DEFAULT_ADMIN_PASSWORD: password, DATA_DIR: dataDir } = config
      first = await createFirstAccounts(db, { password, dataDir, now: clock() })
    },
  })
  const bounds = { ttlMs: config.METRICS_POPULATION_TTL, loadTimeoutMs: countTimeoutMs }
  const population = createPopulation(database.populationDb, { recorder, clock, ...bounds })
  if (config.metricsEnabled) {
    observePools(metrics.meter, database.pools)
    observePopulation(metrics.meter, population)
  }
  return { database, population, first }
}

/** Once each way; while it lasts, requests are refused without a word each. */
const logAvailability = (log: Log) => (isUp: boolean, error: unknown) => {
  if (isUp) log.info('the database is back')
  else log.error({ err: error }, 'the database is out of reach; requests are refused')
}

interface Held {
  readonly telemetry: Telemetry
  readonly redis: Redis | undefined
  readonly database: OpenDatabase
  readonly log: Log
}

/** The last push goes first: its gauges still need the database. */
async function release({ telemetry, redis, database, log }: Held) {
  await telemetry.stop()
  redis?.disconnect()
  await database
    .close()
    .catch((error: unknown) => log.error({ err: error }, 'the database did not close'))
}
