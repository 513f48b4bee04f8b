/** Starts everything in the order of its dependencies, and stops it in the reverse one. */
import { serve } from '@hono/node-server'
import { Redis } from 'ioredis'
import { createApp } from './app.ts'
import { printBanner } from './banner.ts'
import { type BuildInfo, readBuildInfo } from './build-info.ts'
import type { Config } from './config.ts'
import { createFirstAccounts, type FirstCredentials } from './first-start.ts'
import { metricsOptions, tracingOptions } from './telemetry-options.ts'
import { openDatabase, type OpenDatabase } from '#/database/client.ts'
import { observePools } from '#/database/observe-pools.ts'
import { createReadCache } from '#/database/read-cache.ts'
import { cacheChannel, findClient } from '#/domain/clients/clients.ts'
import { loadKeySet, prepareKeys } from '#/domain/keys/keys.ts'
import { observePopulation } from '#/domain/population/observe.ts'
import { startSweeper } from '#/domain/sweeper/sweeper.ts'
import { createLog, type Log } from '#/telemetry/log.ts'
import { observeBuild } from '#/telemetry/observe-build.ts'
import { type Metrics, startMetrics } from '#/telemetry/provider.ts'
import { createRecorder, type Recorder } from '#/telemetry/recorder.ts'
import { startRuntimeMetrics } from '#/telemetry/runtime.ts'
import { startScrapeListener } from '#/telemetry/scrape-listener.ts'
import { startTracing } from '#/telemetry/tracing.ts'

export interface RunningServer {
  /** Drains within the configured bound, flushes, closes. Never rejects. */
  stop(): Promise<void>
}

const countTimeoutMs = 5000

export async function startServer(config: Config, secrets: readonly string[]): Promise<RunningServer> {
  const clock = () => new Date()
  const build = readBuildInfo(config.AUTHGATE_COMMIT)
  const log = createLog({ level: config.LOG_LEVEL })
  const telemetry = startTelemetry(config, build, log)
  const { recorder, metrics } = telemetry
  let first: FirstCredentials | undefined
  const database = await openDatabase({
    url: config.DATABASE_URL,
    dataDir: config.DATA_DIR,
    poolSize: config.DB_MAX_OPEN_CONNS,
    countTimeoutMs,
    record: (...operation) => recorder.databaseOperation(...operation),
    async prepare(db) {
      await prepareKeys(db, secrets, clock())
      first = await createFirstAccounts(db, { password: config.DEFAULT_ADMIN_PASSWORD, dataDir: config.DATA_DIR, now: clock() })
    },
  })
  const { db } = database
  if (config.metricsEnabled) {
    observePools(metrics.meter, database.pools)
    observePopulation(metrics.meter, database.populationDb, { recorder, clock, ttlMs: config.METRICS_POPULATION_TTL, loadTimeoutMs: countTimeoutMs })
  }
  const caches = await createCaches(database, { recorder, secrets, ttlMs: config.CLIENT_CACHE_TTL })
  const redis = config.REDIS_URL === undefined ? undefined : connectRedis(config.REDIS_URL, log)
  let draining = false
  const app = createApp({ config, secrets, db, recorder, log, ...caches, redis, clock, draining: () => draining })
  const listener = await listen(app.fetch, config)
  const scrape = await telemetry.listen()
  const stopSweeper = startSweeper(db, recorder, {
    retention: { sessionsMs: config.SESSION_RETENTION, auditMs: config.AUDIT_LOG_RETENTION },
    intervalMs: config.SESSION_SWEEP_INTERVAL,
    clock,
  })
  printBanner({ config, build, first, embedded: database.embedded })
  log.info({ version: build.version, commit: build.commit, address: `${config.HOST}:${config.PORT}` }, 'started')
  return {
    async stop() {
      draining = true
      log.info('draining')
      await listener.close(config.SERVER_SHUTDOWN_TIMEOUT)
      await stopSweeper()
      await scrape?.close()
      // Last collection first: its gauges still need the database.
      await telemetry.stop()
      redis?.disconnect()
      await database.close().catch((error: unknown) => log.error({ err: error }, 'the database did not close'))
      log.info('stopped')
    },
  }
}

function startTelemetry(config: Config, build: BuildInfo, log: Log) {
  let recorder: Recorder | undefined
  const metrics: Metrics = startMetrics(metricsOptions(config, build, log, () => recorder?.exportFailed('metrics')))
  recorder = createRecorder(metrics.meter, log)
  const tracing = startTracing(tracingOptions(config, build, log, () => recorder?.exportFailed('traces')))
  const stopRuntime = config.metricsEnabled ? startRuntimeMetrics(metrics.meter) : undefined
  if (config.metricsEnabled) observeBuild(metrics.meter, build)
  return {
    recorder,
    metrics,
    listen: async () =>
      config.metricsEnabled && config.OTEL_METRICS_EXPORTER.includes('prometheus')
        ? startScrapeListener({
            host: config.OTEL_EXPORTER_PROMETHEUS_HOST,
            port: config.OTEL_EXPORTER_PROMETHEUS_PORT,
            token: config.METRICS_TOKEN,
            collect: metrics.collect,
          })
        : undefined,
    async stop() {
      await Promise.all([metrics.shutdown(), tracing.shutdown()])
      stopRuntime?.()
    },
  }
}

/** Clients and keys: read often, changed rarely, dropped everywhere by the NOTIFY of the transaction that changes one. */
async function createCaches(
  { db, listen }: OpenDatabase,
  { recorder, secrets, ttlMs }: { recorder: Recorder; secrets: readonly string[]; ttlMs: number },
) {
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
  await listen(cacheChannel, (payload) => (payload.startsWith('client:') ? clients.invalidate(payload.slice(7)) : flush()), flush)
  return {
    clients,
    async keys() {
      const keys = await keySets.get('all')
      if (!keys) throw new Error('there are no signing keys')
      return keys
    },
  }
}

/** Fails fast: a limiter that waits for Redis would hold up every request. */
function connectRedis(url: string, log: Log): Redis {
  const redis = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, connectTimeout: 2000, commandTimeout: 500 })
  let down = false
  redis.on('error', (error) => {
    if (!down) log.error({ err: error }, 'Redis is out of reach; rate limits are off until it is back')
    down = true
  })
  redis.on('ready', () => {
    if (down) log.info('Redis is back')
    down = false
  })
  return redis
}

/** Listens on the public port; closing lets requests under way finish, for so long. */
async function listen(fetch: Parameters<typeof serve>[0]['fetch'], { HOST, PORT }: Config) {
  const server = serve({ fetch, hostname: HOST, port: PORT, serverOptions: { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 75_000 } })
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', reject)
  })
  return {
    async close(timeoutMs: number) {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
      if ('closeIdleConnections' in server) server.closeIdleConnections()
      const timer = setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), timeoutMs)
      await closed
      clearTimeout(timer)
    },
  }
}
