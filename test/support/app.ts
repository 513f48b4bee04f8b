/** The whole app on a database of its own, with a real recorder whose series are read back from the Prometheus text. */
import { randomBytes } from 'node:crypto'
import { createApp } from '#/app.ts'
import { type Caches, createCaches } from '#/boot/caches.ts'
import { auditRepeated } from '#/boot/repeated-events.ts'
import { retentionOf } from '#/boot/retention.ts'
import { type Config, parseConfig } from '#/config/config.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import type { RepeatedEvents } from '#/domain/audit/repeated-events.ts'
import { createEntityCounts } from '#/domain/entity-counts/caches.ts'
import { observeEntityCounts } from '#/domain/entity-counts/observe.ts'
import { observeKeys } from '#/domain/keys/observe-keys.ts'
import { prepareKeys } from '#/domain/keys/prepare-keys.ts'
import { createFetchDocument } from '#/domain/outbound/fetch-document.ts'
import { sweep } from '#/domain/sweeper/sweeper.ts'
import { createLog, type Log } from '#/telemetry/log.ts'
import { type Metrics, startMetrics } from '#/telemetry/provider.ts'
import { createRecorder, type Recorder } from '#/telemetry/recorder.ts'
import { openTestDatabase, type TestDatabase } from './database.ts'
import { parseSamples, type Samples } from './prometheus.ts'

export interface TestApp {
  readonly config: Config
  readonly database: TestDatabase
  readonly recorder: Recorder
  readonly keys: Caches['keys']
  readonly repeatedEvents: RepeatedEvents
  /** What is mounted, middleware among it (method `ALL`). */
  readonly routes: readonly { readonly method: string; readonly path: string }[]
  /** What a listener of one's own serves. */
  readonly fetch: ReturnType<typeof createApp>['fetch']
  /** A request as the network would bring it. `ip` is the sender's address. */
  request(path: string, init?: RequestInit & { ip?: string }): Promise<Response>
  /** Every series and its value, population gauges counted afresh. */
  samples(): Promise<Samples>
  /** One turn of the sweeper; what has ended is kept. */
  sweep(): Promise<void>
  /** Moves the clock of the app. */
  advance(ms: number): void
  now(): Date
  close(): Promise<void>
}

export interface TestAppOptions {
  readonly settings?: Record<string, string>
  /** Instead of one that says nothing. */
  readonly log?: Log
  /** Shares the database of another app: a second replica. */
  readonly replicaOf?: TestApp
  /** Whether it hears nothing of what other replicas change. */
  readonly deaf?: boolean
  /** Instead of a new one; closed with the app. */
  readonly database?: TestDatabase
}

const secret = 'test secret of at least thirty-two characters'

/** Limits are off unless a test is about them. */
const defaults = {
  ENABLE_RATE_LIMIT: 'false',
  METRICS_POPULATION_TTL: '0s',
  SESSION_SECRET: secret,
  LOG_LEVEL: 'silent',
}

export async function startTestApp({
  settings = {},
  replicaOf,
  deaf = false,
  database: given,
  log: givenLog,
}: TestAppOptions = {}): Promise<TestApp> {
  const config = parseConfig({ ...defaults, ...settings })
  const secrets = config.sessions.secrets ?? [secret]
  const database = replicaOf?.database ?? given ?? (await openTestDatabase())
  let offset = 0
  const clock = () => new Date(Date.now() + offset)
  const log = givenLog ?? createLog({ level: config.telemetry.log.level })
  const metrics = startMetrics({
    enabled: config.telemetry.metrics.enabled,
    serviceName: 'authgate',
    serviceVersion: 'test',
    instanceId: randomBytes(4).toString('hex'),
    log,
    onExportFailure: () => {},
  })
  const recorder = createRecorder(metrics.meter)
  const entityCounts = createEntityCounts(database.populationDb, {
    recorder,
    clock,
    ttlMs: config.telemetry.metrics.populationTtlMs,
    loadTimeoutMs: 5000,
  })
  observeEntityCounts(metrics.meter, entityCounts)
  await prepareKeys(database.db, secrets, clock())
  const caches = await createCaches(deaf ? { ...database, listen: async () => {} } : database, {
    recorder,
    secrets,
    ttlMs: config.clients.cacheTtlMs,
    algorithm: config.tokens.signingAlgorithm,
    clock,
  })
  const rotation = { secrets, ...config.tokens.keyRotation }
  observeKeys(metrics.meter, { keys: caches.keys, schedule: rotation, clock })
  const repeatedEvents = auditRepeated(database.db, { recorder, log })
  const app = createApp({
    config,
    secrets,
    db: database.db,
    recorder,
    log,
    repeatedEvents,
    ...caches,
    entityCounts,
    redis: undefined,
    fetchDocument: createFetchDocument({
      privateAddresses: config.server.privateAddresses,
      recorder,
    }),
    clock,
    ready: database.ready,
    draining: () => false,
  })
  return {
    config,
    database,
    recorder,
    repeatedEvents,
    keys: caches.keys,
    routes: app.routes,
    fetch: app.fetch,
    sweep: () =>
      sweep(database.db, {
        recorder,
        origin: systemOrigin,
        retention: { ...retentionOf(config), sessionsMs: 1e12, auditMs: 1e12 },
        keyRotation: rotation,
        clock,
      }),
    async request(path, { ip = '192.0.2.10', ...init } = {}) {
      const answer = await app.request(path, init, { incoming: { socket: { remoteAddress: ip } } })
      // Requests do not wait for what is written of their refusal; what tests read next does.
      await repeatedEvents.flush()
      return answer
    },
    samples: async () => parseSamples(await metrics.collect()),
    advance(ms) {
      offset += ms
    },
    now: clock,
    close: () => closeAll(metrics, replicaOf ? undefined : database),
  }
}

async function closeAll(metrics: Metrics, database: TestDatabase | undefined) {
  await metrics.shutdown()
  await database?.close()
}
