/** The composition root: every endpoint, the order of the middleware, the one error handler. */
import { Hono, type MiddlewareHandler } from 'hono'
import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import type { RepeatedEvents } from '#/domain/audit/repeated-events.ts'
import { createClientKeys } from '#/domain/clients/client-keys.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { EntityCounts } from '#/domain/entity-counts/caches.ts'
import { createExternalApi } from '#/domain/external-api/external-api.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import { limitRows, type RowLimits } from '#/domain/row-limits/row-limits.ts'
import type { TokenPolicy } from '#/domain/tokens/lifetimes.ts'
import { createPasswords } from '#/domain/users/passwords.ts'
import { accountRoutes } from '#/endpoints/account/routes.ts'
import { adminRoutes } from '#/endpoints/admin/routes.ts'
import { appRoutes } from '#/endpoints/apps/routes.ts'
import { authorizeRoutes } from '#/endpoints/authorize/routes.ts'
import { deviceRoutes } from '#/endpoints/device/routes.ts'
import { discoveryRoutes } from '#/endpoints/discovery/routes.ts'
import { healthRoutes } from '#/endpoints/health/routes.ts'
import { introspectRoutes } from '#/endpoints/introspect/routes.ts'
import { loginRoutes } from '#/endpoints/login/routes.ts'
import { logoutRoutes } from '#/endpoints/logout/routes.ts'
import { parRoutes } from '#/endpoints/par/routes.ts'
import { registerRoutes } from '#/endpoints/register/routes.ts'
import { revokeRoutes } from '#/endpoints/revoke/routes.ts'
import { securityTxtRoutes } from '#/endpoints/security-txt/routes.ts'
import { tokenRoutes } from '#/endpoints/token/routes.ts'
import { tokeninfoRoutes } from '#/endpoints/tokeninfo/routes.ts'
import { upstreamRoutes } from '#/endpoints/upstream/routes.ts'
import { userinfoRoutes } from '#/endpoints/userinfo/routes.ts'
import { createDpopNonces } from '#/protocol/dpop-nonces.ts'
import { reserveUsernames } from '#/protocol/reserved-usernames.ts'
import type { Log } from '#/telemetry/log.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import type { ClientAuthentication } from '#/web/clients/client-authentication.ts'
import type { DpopOptions } from '#/web/clients/dpop.ts'
import { giveBackProofs } from '#/web/clients/give-back-proofs.ts'
import { allowOrigins } from '#/web/guards/cors.ts'
import { createCsrf } from '#/web/guards/csrf.ts'
import { limitBody } from '#/web/guards/limit-body.ts'
import { methodNotAllowed, refuseHead } from '#/web/guards/method-not-allowed.ts'
import { requestTimeout } from '#/web/guards/request-timeout.ts'
import { securityHeaders } from '#/web/guards/security-headers.ts'
import { refuseUnstorableAddress } from '#/web/guards/storable.ts'
import { requestCeiling } from '#/web/limits/ceiling.ts'
import type { SharedRedis } from '#/web/limits/limit-store.ts'
import { createLimiters, createRateLimits, type Limiters } from '#/web/limits/rate-limit.ts'
import { assetRoutes } from '#/web/pages/assets.ts'
import { PageError } from '#/web/pages/page-error.ts'
import { accessLog } from '#/web/request/access-log.ts'
import { basePathOf, routing, underPath } from '#/web/request/base-path.ts'
import { isFromTrustedProxy } from '#/web/request/client-address.ts'
import type { AppEnv } from '#/web/request/context.ts'
import { createErrorHandler, notFound } from '#/web/request/error-handler.ts'
import { requestContext } from '#/web/request/request-context.ts'
import { requestTelemetry } from '#/web/request/request-telemetry.ts'
import { createCookies } from '#/web/sessions/cookies.ts'
import { createSessionAccess } from '#/web/sessions/current-user.ts'
import { createKnownBrowsers } from '#/web/sessions/known-browsers.ts'
import { createSessionCookies } from '#/web/sessions/session-cookies.ts'
import { sessionPolicy } from '#/web/sessions/session-policy.ts'
import { identityProviders } from './boot/identity-providers.ts'
import type { Config } from './config.ts'

export interface AppParts {
  readonly config: Config
  readonly secrets: readonly string[]
  readonly db: Database
  readonly recorder: Recorder
  readonly log: Log
  readonly repeatedEvents: RepeatedEvents
  readonly clients: ReadCache<Client>
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

/** No honest form or query of ours comes near it. */
const maxBodyBytes = 64 * 1024

export function createApp(parts: AppParts): Hono<AppEnv> {
  const { config, recorder, ready, draining } = parts
  limitRows(parts.db, rowLimits(config))
  const path = basePathOf(config.BASE_URL)
  const app = new Hono<AppEnv>(routing(path, { stripped: config.PROXY_STRIPS_PATH }))
  app.use(
    requestTelemetry({
      recorder,
      scheme: config.secure ? 'https' : 'http',
      trustTraceparent: (c) => isFromTrustedProxy(c, config.TRUSTED_PROXIES),
    }),
  )
  if (config.ACCESS_LOG === 'json') app.use(accessLog(parts.log, probes))
  if (path !== '') app.use(underPath(path))
  app.use(
    requestContext({
      ...parts,
      trustedProxies: config.TRUSTED_PROXIES,
      auditing: config.ENABLE_AUDIT_LOGGING,
    }),
  )
  app.use(securityHeaders({ secure: config.secure }))
  app.use(refuseUserInAddress)
  // Outside of the timeout, whose answer gives them back, too.
  app.use('/oauth/*', giveBackProofs(parts.db))
  app.use('/auth/callback/*', giveBackProofs(parts.db))
  app.use(requestTimeout(config.REQUEST_TIMEOUT))
  for (const address of ['/oauth/authorize', '/oauth/logout', '/auth/*'])
    app.use(address, refuseHead(app))
  app.use(limitBody({ maxSize: maxBodyBytes, onError: refuseBody }))
  allowOrigins(app, {
    enabled: config.CORS_ENABLED,
    origins: config.CORS_ALLOWED_ORIGINS,
    maxAgeMs: config.CORS_MAX_AGE,
  })
  const services = createServices(parts, path)
  app.use(ceilingOf(parts, services))
  app.use(refuseUnstorableAddress)
  mountPages(app, parts, services)
  mountProtocol(app, parts, services)
  app.route('/', assetRoutes())
  app.route('/', securityTxtRoutes(securityContact(config)))
  app.route('/', healthRoutes({ databaseAnswers: ready, draining }))
  app.get('/', (c) => c.redirect('/account/devices', 303))
  app.get('/account/sessions', (c) => c.redirect('/account/tokens', 303))
  app.use(methodNotAllowed(app))
  app.onError(createErrorHandler({ issuer: config.BASE_URL }))
  app.notFound(notFound)
  return app
}

/** How much strangers may leave here. */
const rowLimits = (config: Config): RowLimits => ({
  clients: config.DYNAMIC_CLIENT_REGISTRATION_MAX,
  authorization_requests: config.MAX_AUTHORIZATION_REQUESTS,
  device_codes: config.MAX_DEVICE_CODES,
  used_proofs: config.MAX_USED_PROOFS,
})

const probes: readonly string[] = ['/livez', '/readyz', '/health']

/** Probes and what is answered from memory stay free. */
const ceilingOf = ({ db, clock }: AppParts, { limiters }: Services) =>
  requestCeiling({
    db,
    requests: limiters.requests,
    tokens: limiters['access-token'],
    now: () => clock().getTime(),
    isFree: (path) =>
      path.startsWith('/.well-known/') || path.startsWith('/assets/') || probes.includes(path),
  })

type Services = ReturnType<typeof createServices>

/** What endpoints share. */
function createServices(
  { config, secrets, db, clients, keys, redis, clock }: AppParts,
  path: string,
) {
  const jar = createCookies({ secure: config.secure, path: path || '/' })
  const sealing = { secrets, jar }
  const cookies = createSessionCookies(sealing)
  const policy = sessionPolicy(config)
  return {
    db,
    issuer: config.BASE_URL,
    secrets,
    jar,
    clients,
    keys,
    cookies,
    policy,
    csrf: createCsrf({ ...sealing, issuer: config.BASE_URL }),
    sessions: createSessionAccess({ db, cookies, policy }),
    passwords: createPasswords(),
    isReserved: reserveUsernames(config.RESERVED_USERNAMES),
    knownBrowsers: createKnownBrowsers(sealing),
    limiters: createLimiters(
      createRateLimits({
        enabled: config.ENABLE_RATE_LIMIT,
        redis,
        now: () => clock().getTime(),
      }),
      config,
    ),
  }
}

/** What people see. */
function mountPages(app: Hono<AppEnv>, parts: AppParts, services: Services) {
  const { config, fetchDocument, entityCounts, recorder } = parts
  const { limiters } = services
  const externalApi = externalApiOf(parts)
  const providers = identityProviders(config, recorder)
  app.route('/', loginRoutes({ ...services, externalApi, providers, limits: limiters }))
  app.route('/', upstreamRoutes({ ...services, providers, ...upstreamPolicy(config, services) }))
  app.route('/', logoutRoutes(services))
  const passwordLimiter = limiters.password
  app.route('/', accountRoutes({ ...services, providers, passwordLimiter }))
  const loopbackHttp = config.OUTBOUND_PRIVATE_ADDRESSES
  const privateUseSchemes = config.PRIVATE_USE_SCHEMES
  const requirePkce = config.PKCE_REQUIRED_FOR_NEW_CLIENTS
  const ownApps = {
    fetchDocument,
    loopbackHttp,
    privateUseSchemes,
    requirePkce,
    limiter: limiters.apps,
  }
  app.route('/', appRoutes({ ...services, ...ownApps }))
  app.route(
    '/',
    adminRoutes({ ...services, entityCounts, fetchDocument, loopbackHttp, requirePkce }),
  )
}

/** Who checks passwords besides us, if anybody. */
function externalApiOf({ config, recorder }: AppParts) {
  if (config.AUTH_MODE !== 'http_api' || config.HTTP_API_URL === undefined) return undefined
  const { HTTP_API_AUTH_MODE: mode, HTTP_API_AUTH_SECRET: secret = '' } = config
  return createExternalApi({
    url: config.HTTP_API_URL,
    proof: { mode, header: config.HTTP_API_AUTH_HEADER, secret },
    timeoutMs: config.HTTP_API_TIMEOUT,
    retries: config.HTTP_API_MAX_RETRIES,
    retryDelayMs: config.HTTP_API_RETRY_DELAY,
    maxDelayMs: config.HTTP_API_MAX_RETRY_DELAY,
    recorder,
  })
}

/** What clients talk to, and where they send people. */
function mountProtocol(app: Hono<AppEnv>, parts: AppParts, services: Services) {
  const { config, fetchDocument } = parts
  const proofs = clientProofs(parts)
  const rules = requestRules(parts, proofs)
  app.route(
    '/',
    authorizeRoutes({ ...services, ...rules, ...authorizationPolicy(config, services) }),
  )
  app.route('/', parRoutes({ ...services, ...proofs, ...rules, ...pushPolicy(config, services) }))
  app.route('/', tokenRoutes({ ...services, ...proofs, ...tokenPolicy(config, services) }))
  app.route('/', deviceRoutes({ ...services, ...proofs, ...devicePolicy(config, services) }))
  app.route(
    '/',
    introspectRoutes({ ...services, ...proofs, ...introspectionPolicy(config, services) }),
  )
  const revocation = backChannelLimits(services.limiters, 'revoke')
  app.route('/', revokeRoutes({ ...services, ...proofs, ...revocation }))
  app.route('/', userinfoRoutes({ ...services, ...proofs }))
  app.route('/', tokeninfoRoutes({ ...services, ...proofs }))
  const registration = registrationPolicy(config, services)
  app.route('/', registerRoutes({ ...services, fetchDocument, ...registration }))
  const { pushRequired } = rules
  app.route('/', discoveryRoutes({ ...services, registration: registration.enabled, pushRequired }))
}

/** How clients prove who they are and which keys they hold. */
function clientProofs(parts: AppParts): {
  authentication: ClientAuthentication
  dpop: DpopOptions
} {
  const { config, secrets, db, clients, recorder, fetchDocument, clock } = parts
  const issuer = config.BASE_URL
  const clientKeys = createClientKeys({
    fetchDocument,
    onLookup: (outcome) => recorder.cacheLookup('client_keys', outcome),
    clock,
  })
  const requireNonce = config.DPOP_REQUIRE_NONCE
  return {
    authentication: { db, issuer, clients, clientKeys },
    dpop: { db, issuer, nonces: createDpopNonces(secrets), requireNonce },
  }
}

/** What authorization requests are held to, pushed or not. */
const requestRules = (
  { config, fetchDocument, recorder }: AppParts,
  { authentication: { clientKeys } }: ReturnType<typeof clientProofs>,
) => ({
  clientKeys,
  fetchDocument,
  pkceRequired: config.PKCE_REQUIRED,
  openRegistration:
    config.DYNAMIC_CLIENT_REGISTRATION_STATUS === 'active' &&
    config.DYNAMIC_CLIENT_REGISTRATION_TOKEN === undefined,
  recorder,
  pushRequired: config.REQUIRE_PUSHED_AUTHORIZATION_REQUESTS,
})

const upstreamPolicy = (config: Config, { db, limiters }: Services) => ({
  autoRegister: config.OAUTH_AUTO_REGISTER,
  loginLimits: failureLimits(db, limiters, 'upstream-login'),
  callbackLimits: failureLimits(db, limiters, 'upstream-callback'),
})

const authorizationPolicy = (config: Config, { db, limiters }: Services) => ({
  ...failureLimits(db, limiters, 'authorize'),
  codeLifetimeMs: config.AUTH_CODE_EXPIRATION,
  rememberConsent: config.CONSENT_REMEMBER,
  lasting: lastingPolicy(config),
})

const pushPolicy = (config: Config, { limiters }: Services) => ({
  lifetimeMs: config.PUSHED_REQUEST_EXPIRATION,
  ...backChannelLimits(limiters, 'par'),
})

const devicePolicy = (config: Config, { db, limiters }: Services) =>
  ({
    lifetimeMs: config.DEVICE_CODE_EXPIRATION,
    lasting: lastingPolicy(config),
    ...failureLimits(db, limiters, 'device-code'),
    verifyLimiters: [limiters['device-verify'], limiters['device-verify-session']],
  }) as const

const lastingPolicy = (config: Config): TokenPolicy => ({
  lifetimes: {
    profiles: {
      short: {
        accessMs: config.TOKEN_PROFILE_SHORT_ACCESS_TTL,
        refreshMs: config.TOKEN_PROFILE_SHORT_REFRESH_TTL,
      },
      standard: { accessMs: config.JWT_EXPIRATION, refreshMs: config.REFRESH_TOKEN_EXPIRATION },
      long: {
        accessMs: config.TOKEN_PROFILE_LONG_ACCESS_TTL,
        refreshMs: config.TOKEN_PROFILE_LONG_REFRESH_TTL,
      },
    },
    jitterMs: config.JWT_EXPIRATION_JITTER,
    maxAccessMs: config.JWT_EXPIRATION_MAX,
    familyMs: config.REFRESH_TOKEN_EXPIRATION_MAX,
  },
  refreshTokens: config.ENABLE_REFRESH_TOKENS,
  endsWithSession: config.TOKENS_END_WITH_SESSION,
})

const tokenPolicy = (config: Config, { limiters }: Services) => ({
  ...lastingPolicy(config),
  extraClaims: {
    claim: config.JWT_PRIVATE_CLAIM_PREFIX,
    maxLength: config.EXTRA_CLAIMS_MAX_RAW_SIZE,
    maxKeys: config.EXTRA_CLAIMS_MAX_KEYS,
    maxValueLength: config.EXTRA_CLAIMS_MAX_VAL_SIZE,
  },
  clientTokenMs: config.CLIENT_CREDENTIALS_TOKEN_EXPIRATION,
  rotation: config.ENABLE_TOKEN_ROTATION,
  ...backChannelLimits(limiters, 'token'),
  pollLimiter: limiters['token-device'],
})

const introspectionPolicy = (config: Config, { limiters }: Services) => ({
  requireOwnership: config.INTROSPECTION_REQUIRE_OWNERSHIP,
  addressLimiter: limiters.introspect,
  // Nobody asks without a secret.
  ceiling: undefined,
  clientLimiter: limiters['introspect-client'],
})

const failureLimits = (
  db: Database,
  limiters: Limiters,
  name: 'authorize' | 'device-code' | 'upstream-login' | 'upstream-callback',
) => ({ db, failures: limiters[name], ceiling: limiters[`${name}-ceiling`] })

/** Limits for whoever has proven nothing, and one for whoever has. */
const backChannelLimits = (limiters: Limiters, name: 'token' | 'par' | 'revoke') => ({
  addressLimiter: limiters[name],
  ceiling: limiters[`${name}-ceiling`],
  clientLimiter: limiters[`${name}-client`],
})

const registrationPolicy = (config: Config, { limiters }: Services) => ({
  loopbackHttp: config.OUTBOUND_PRIVATE_ADDRESSES,
  privateUseSchemes: config.PRIVATE_USE_SCHEMES,
  enabled: config.ENABLE_DYNAMIC_CLIENT_REGISTRATION,
  initialToken: config.DYNAMIC_CLIENT_REGISTRATION_TOKEN,
  requirePkce: config.PKCE_REQUIRED_FOR_NEW_CLIENTS,
  status: config.DYNAMIC_CLIENT_REGISTRATION_STATUS,
  limiter: limiters.register,
})

const securityContact = (config: Config) => ({
  issuer: config.BASE_URL,
  contacts: config.SECURITY_CONTACT,
  policy: config.SECURITY_POLICY,
})

/** No Request can be made of an address with a user in it (RFC 9110 §4.2.4), and nobody honest asks for one. */
const refuseUserInAddress: MiddlewareHandler<AppEnv> = (c, next) => {
  if (/^https?:\/\/[^/?#]*@/i.test(c.req.url))
    throw new PageError(400, 'Invalid address', 'The address must not contain a user name.')
  return next()
}

function refuseBody(): never {
  throw new PageError(413, 'Request too large', 'The request body is larger than 64 KiB.')
}
