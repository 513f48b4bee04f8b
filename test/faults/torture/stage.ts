/** Everything that takes part, started: Postgres, a pooler if wanted, Redis, the replicas, and who hears their metrics. */
import { withDatabase } from '../../support/database-template.ts'
import { canMount, startPgBouncer, startPostgres, startRedis } from '../../support/services.ts'
import type { Books } from './books.ts'
import { type Collector, startCollector } from './collector.ts'
import type { Stage } from './faults.ts'
import { createReplica } from './replicas.ts'

export interface StageOptions {
  readonly replicas: number
  readonly pooler: boolean
}

const role = 'authgate'

export async function setStage(books: Books, options: StageOptions) {
  const hasDisk = canMount()
  const database = await startPostgres({
    maxConnections: 120,
    ...(hasDisk && { diskMegabytes: 8192 }),
  })
  const sql = (await import('postgres')).default(database.url, { max: 1, onnotice: () => {} })
  // Not a superuser, for whom limits do not hold.
  await sql.unsafe(`create role ${role} login`)
  await sql.unsafe(`create database ${role} owner ${role}`)
  await sql.end()
  const ownDatabase = withDatabase(database.url, role)
  const pooler = options.pooler ? await startPgBouncer(database, { users: [role] }) : undefined
  const redis = await startRedis()
  const collector = await startCollector()
  const asRole = (url: string) => withDatabase(url, role).replace('postgres@', `${role}@`)
  const settings = settingsFor(collector, {
    DATABASE_URL: asRole(pooler?.url ?? database.url),
    ...(pooler && { DB_PREPARE: 'false', DATABASE_DIRECT_URL: asRole(database.url) }),
    REDIS_URL: redis.url,
  })
  const names = Array.from({ length: options.replicas }, (_, n) => `replica-${n + 1}`)
  const replicas = []
  for (const name of names) replicas.push(await createReplica(books, name, settings))
  await Promise.all(replicas.map((replica) => replica.start()))
  return {
    database,
    ownDatabase,
    role,
    pooler,
    redis,
    replicas,
    hasDisk,
    collector,
    async strike() {
      collector.close()
      await Promise.all([redis.remove(), pooler?.remove()])
      await database.remove()
    },
  } satisfies Omit<Stage, 'usernames'> & { collector: Collector; strike(): Promise<void> }
}

/** Lives long enough that nothing ends by itself, and limits that a crowd of this size behind few addresses meets. */
const settingsFor = (collector: Collector, own: Readonly<Record<string, string>>) => ({
  ...own,
  BASE_URL: 'http://localhost:8080',
  SESSION_SECRET: 'a secret of the rack alone: more than 32 characters',
  TRUSTED_PROXIES: '127.0.0.1',
  SESSION_IDLE_TIMEOUT: '43200',
  AUTH_CODE_EXPIRATION: '10m',
  SESSION_SWEEP_INTERVAL: '2s',
  LOGIN_ACCOUNT_RATE_LIMIT: '10000',
  CLIENT_RATE_LIMIT: '1000000',
  SHUTDOWN_DELAY: '500ms',
  DB_START_TIMEOUT: '60s',
  METRICS_POPULATION_TTL: '0s',
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: collector.url,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_METRIC_EXPORT_INTERVAL: '1000',
  OTEL_METRIC_EXPORT_TIMEOUT: '1000',
})
