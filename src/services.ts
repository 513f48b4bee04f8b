/** What the app is made of: what it is given, and what endpoints share. Rooms receive values, never the configuration. */
import type { Config } from '#/config/config.ts'
import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import type { RepeatedEvents } from '#/domain/audit/repeated-events.ts'
import { createClientKeys } from '#/domain/clients/client-keys.ts'
import type { VersionedClient } from '#/domain/clients/client-version.ts'
import type { EntityCounts } from '#/domain/entity-counts/caches.ts'
import { createExternalApi } from '#/domain/external-api/external-api.ts'
import { apiProofOf } from '#/domain/external-api/prove.ts'
import { createProviders } from '#/domain/identity-providers/providers.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import { createPasswords } from '#/domain/users/passwords.ts'
import { createDpopNonces } from '#/protocol/dpop-nonces.ts'
import { offeredOf } from '#/protocol/offered.ts'
import { reserveUsernames } from '#/protocol/reserved-usernames.ts'
import type { Log } from '#/telemetry/log.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { createCsrf } from '#/web/guards/csrf.ts'
import type { SharedRedis } from '#/web/limits/limit-store.ts'
import { createLimiters, createRateLimits } from '#/web/limits/rate-limit.ts'
import { basePathOf } from '#/web/request/base-path.ts'
import { createCookies } from '#/web/sessions/cookies.ts'
import { createSessionAccess } from '#/web/sessions/current-user.ts'
import { createKnownBrowsers } from '#/web/sessions/known-browsers.ts'
import { createSessionCookies } from '#/web/sessions/session-cookies.ts'
import { sessionPolicy } from '#/web/sessions/session-policy.ts'

export interface AppParts {
  readonly config: Config
  readonly secrets: readonly string[]
  readonly db: Database
  readonly recorder: Recorder
  readonly log: Log
  readonly repeatedEvents: RepeatedEvents
  readonly clients: ReadCache<VersionedClient>
  readonly keys: () => Promise<KeySet>
  /** The counts that gauges show. */
  readonly entityCounts: EntityCounts
  readonly redis: SharedRedis | undefined
  /** How addresses that clients name are asked. */
  readonly fetchDocument: FetchDocument
  /** Tests turn it. */
  readonly clock: () => Date
  /** Whether the database answers and takes writes. */
  readonly ready: () => Promise<boolean>
  readonly draining: () => boolean
}

export type Services = ReturnType<typeof createServices>

export function createServices(parts: AppParts) {
  const { config, secrets, db, recorder, clients, keys, entityCounts, fetchDocument } = parts
  const issuer = config.server.baseUrl
  const { externalApi } = config.signIn
  return {
    ...{ db, issuer, secrets, recorder, clients, keys, entityCounts, fetchDocument },
    ...createSessionServices(parts, issuer),
    ...createClientProofs(parts, issuer),
    offered: offeredOf(config.tokens),
    limiters: limitersOf(parts),
    passwords: createPasswords(),
    isReserved: reserveUsernames(config.signIn.reservedUsernames),
    /** Who checks passwords besides us, if anybody. */
    externalApi:
      externalApi &&
      createExternalApi({ ...externalApi, proof: apiProofOf(externalApi.proof), recorder }),
    providers: createProviders(config.providers, { issuer, recorder }),
    loopbackHttp: config.server.privateAddresses,
    privateUseSchemes: config.clients.privateUseSchemes,
    requirePkce: config.clients.requirePkce,
  }
}

/** Who is signed in at a browser. */
function createSessionServices({ config, secrets, db }: AppParts, issuer: string) {
  const jar = createCookies({ secure: config.server.secure, path: basePathOf(issuer) || '/' })
  const sealing = { secrets, jar }
  const cookies = createSessionCookies(sealing)
  const policy = sessionPolicy(config.sessions.policy)
  return {
    jar,
    cookies,
    policy,
    csrf: createCsrf({ ...sealing, issuer }),
    sessions: createSessionAccess({ db, cookies, policy }),
    knownBrowsers: createKnownBrowsers(sealing),
  }
}

/** How clients prove who they are and which keys they hold. */
function createClientProofs(
  { config, secrets, db, clients, recorder, fetchDocument, clock }: AppParts,
  issuer: string,
) {
  const clientKeys = createClientKeys({
    fetchDocument,
    onLookup: (outcome) => recorder.cacheLookup('client_keys', outcome),
    clock,
  })
  const requireNonce = config.tokens.requireDpopNonce
  return {
    clientKeys,
    authentication: { db, issuer, clients, clientKeys },
    dpop: { db, issuer, nonces: createDpopNonces(secrets), requireNonce },
  }
}

function limitersOf({ config, redis, clock }: AppParts) {
  const { enabled } = config.limits
  const rateLimits = createRateLimits({ enabled, redis, now: () => clock().getTime() })
  return createLimiters(rateLimits, config.limits)
}
