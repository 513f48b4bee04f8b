/** What the app and the background work with: the database, what is cached of it, Redis. */
import type { Config } from '#/config/config.ts'
import type { Database } from '#/database/client.ts'
import { observePools } from '#/database/observe-pools.ts'
import { openDatabase } from '#/database/open-database.ts'
import { createEntityCounts } from '#/domain/entity-counts/caches.ts'
import { observeEntityCounts } from '#/domain/entity-counts/observe.ts'
import { observeKeys } from '#/domain/keys/observe-keys.ts'
import { prepareKeys } from '#/domain/keys/prepare-keys.ts'
import { createFetchDocument } from '#/domain/outbound/fetch-document.ts'
import { findPasswordProblem, passwordProblems } from '#/domain/users/password-rules.ts'
import type { Log } from '#/telemetry/log.ts'
import { admin, createFirstAccounts, type FirstCredentials } from './bootstrap.ts'
import { createCaches } from './caches.ts'
import { connectRedis } from './redis.ts'
import { auditRepeated } from './repeated-events.ts'
import type { Telemetry } from './telemetry.ts'

const countTimeoutMs = 5000

export interface Surroundings {
  readonly config: Config
  readonly secrets: readonly string[]
  readonly telemetry: Telemetry
  readonly log: Log
  readonly clock: () => Date
}

export type Resources = Awaited<ReturnType<typeof openResources>>

export async function openResources(surroundings: Surroundings) {
  const { config, secrets, telemetry, log, clock } = surroundings
  const { recorder, metrics } = telemetry
  const { database, entityCounts, first } = await prepareDatabase(surroundings)
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
    observeKeys(metrics.meter, { keys: caches.keys, schedule: rotation, clock })
  const { redisUrl } = config.limits
  return {
    database,
    entityCounts,
    first,
    caches,
    rotation,
    redis: redisUrl === undefined ? undefined : connectRedis(redisUrl, log),
    repeatedEvents: auditRepeated(database.db, { recorder, log }),
    fetchDocument: createFetchDocument({
      privateAddresses: config.server.privateAddresses,
      recorder,
    }),
  }
}

/** Opens the database and, where gauges are wanted, lets them ask it. */
async function prepareDatabase(surroundings: Surroundings) {
  const { config, telemetry, log, clock } = surroundings
  const { recorder, metrics } = telemetry
  const { enabled, populationTtlMs: ttlMs } = config.telemetry.metrics
  let first: FirstCredentials | undefined
  const database = await openDatabase({
    ...config.database,
    warn: (message) => log.warn(message),
    countTimeoutMs,
    onAvailability: logAvailability(log),
    record: enabled ? recorder.databaseOperation : undefined,
    async prepare(db) {
      first = await prepareRows(db, surroundings)
    },
  })
  const bounds = { ttlMs, loadTimeoutMs: countTimeoutMs }
  const entityCounts = createEntityCounts(database.populationDb, { recorder, clock, ...bounds })
  if (enabled) {
    observePools(metrics.meter, database.pools)
    observeEntityCounts(metrics.meter, entityCounts)
  }
  return { database, entityCounts, first }
}

/** Keys, and at the first start the first accounts. */
async function prepareRows(
  db: Database,
  { config, secrets, telemetry: { recorder }, log, clock }: Surroundings,
): Promise<FirstCredentials | undefined> {
  const { created, resealed } = await prepareKeys(db, secrets, clock())
  recorder.signingKeys('created', created)
  recorder.signingKeys('resealed', resealed)
  const { adminPassword: password } = config.signIn
  const { dataDir } = config.database
  const by = { origin: { enabled: config.audit.enabled }, now: clock() }
  const first = await createFirstAccounts(db, { password, dataDir, ...by })
  const issuer = config.server.baseUrl
  const weak = first && password && (await findPasswordProblem(password, { ...admin, issuer }))
  // Existing installations with a weak password must still start.
  if (weak) log.warn(`DEFAULT_ADMIN_PASSWORD should be changed. ${passwordProblems[weak]}`)
  return first
}

/** Once each way; while it lasts, requests are refused without a word each. */
const logAvailability = (log: Log) => (isUp: boolean, error: unknown) => {
  if (isUp) log.info('the database is back')
  else log.error({ err: error }, 'the database is unreachable; requests are refused')
}
