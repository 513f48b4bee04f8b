/** The composition root: every endpoint, the order of the middleware, the one error handler. */
import { Hono, type MiddlewareHandler } from 'hono'
import type { Config } from '#/config/config.ts'
import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import type { RepeatedEvents } from '#/domain/audit/repeated-events.ts'
import { createClientKeys } from '#/domain/clients/client-keys.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { EntityCounts } from '#/domain/entity-counts/caches.ts'
import { createExternalApi } from '#/domain/external-api/external-api.ts'
import { createProviders } from '#/domain/identity-providers/providers.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import { limitRows } from '#/domain/row-limits/row-limits.ts'
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
  limitRows(parts.db, config.limits.rows)
  const path = basePathOf(config.server.baseUrl)
  const app = new Hono<AppEnv>(routing(path, { stripped: config.server.proxyStripsPath }))
  app.use(
    requestTelemetry({
      recorder,
      scheme: config.server.secure ? 'https' : 'http',
      trustTraceparent: (c) => isFromTrustedProxy(c, config.server.trustedProxies),
    }),
  )
  if (config.telemetry.log.access) app.use(accessLog(parts.log, probes))
  if (path !== '') app.use(underPath(path))
  app.use(
    requestContext({
      ...parts,
      trustedProxies: config.server.trustedProxies,
      auditing: config.audit.enabled,
    }),
  )
  app.use(securityHeaders({ secure: config.server.secure }))
  app.use(refuseUserInAddress)
  // Outside of the timeout, whose answer gives them back, too.
  app.use('/oauth/*', giveBackProofs(parts.db))
  app.use('/auth/callback/*', giveBackProofs(parts.db))
  app.use(requestTimeout(config.server.requestTimeoutMs))
  for (const address of ['/oauth/authorize', '/oauth/logout', '/auth/*'])
    app.use(address, refuseHead(app))
  app.use(limitBody({ maxSize: maxBodyBytes, onError: refuseBody }))
  allowOrigins(app, config.server.cors)
  const services = createServices(parts, path)
  app.use(ceilingOf(parts, services))
  app.use(refuseUnstorableAddress)
  mountPages(app, parts, services)
  mountProtocol(app, parts, services)
  app.route('/', assetRoutes())
  app.route('/', securityTxtRoutes({ issuer: config.server.baseUrl, ...config.server.securityTxt }))
  app.route('/', healthRoutes({ databaseAnswers: ready, draining }))
  app.get('/', (c) => c.redirect('/account/devices', 303))
  app.get('/account/sessions', (c) => c.redirect('/account/tokens', 303))
  app.use(methodNotAllowed(app))
  app.onError(createErrorHandler({ issuer: config.server.baseUrl }))
  app.notFound(notFound)
  return app
}

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
  const jar = createCookies({ secure: config.server.secure, path: path || '/' })
  const sealing = { secrets, jar }
  const cookies = createSessionCookies(sealing)
  const policy = sessionPolicy(config.sessions.policy)
  return {
    db,
    issuer: config.server.baseUrl,
    secrets,
    jar,
    clients,
    keys,
    cookies,
    policy,
    csrf: createCsrf({ ...sealing, issuer: config.server.baseUrl }),
    sessions: createSessionAccess({ db, cookies, policy }),
    passwords: createPasswords(),
    isReserved: reserveUsernames(config.signIn.reservedUsernames),
    knownBrowsers: createKnownBrowsers(sealing),
    limiters: createLimiters(
      createRateLimits({
        enabled: config.limits.enabled,
        redis,
        now: () => clock().getTime(),
      }),
      config.limits,
    ),
  }
}

/** What people see. */
function mountPages(app: Hono<AppEnv>, parts: AppParts, services: Services) {
  const { config, fetchDocument, entityCounts, recorder } = parts
  const { limiters } = services
  const externalApi = externalApiOf(parts)
  const providers = createProviders(config.providers, { issuer: config.server.baseUrl, recorder })
  app.route('/', loginRoutes({ ...services, externalApi, providers, limits: limiters }))
  app.route('/', upstreamRoutes({ ...services, providers, ...upstreamPolicy(config, services) }))
  app.route('/', logoutRoutes(services))
  const passwordLimiter = limiters.password
  app.route('/', accountRoutes({ ...services, providers, passwordLimiter }))
  const loopbackHttp = config.server.privateAddresses
  const privateUseSchemes = config.clients.privateUseSchemes
  const requirePkce = config.clients.requirePkce
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
  const { externalApi } = config.signIn
  return externalApi && createExternalApi({ ...externalApi, recorder })
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
  const issuer = config.server.baseUrl
  const clientKeys = createClientKeys({
    fetchDocument,
    onLookup: (outcome) => recorder.cacheLookup('client_keys', outcome),
    clock,
  })
  const requireNonce = config.tokens.requireDpopNonce
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
  pkceRequired: config.authorization.pkceRequired,
  openRegistration: config.clients.openRegistration,
  recorder,
  pushRequired: config.authorization.pushRequired,
})

const upstreamPolicy = (config: Config, { db, limiters }: Services) => ({
  autoRegister: config.providers.autoRegister,
  loginLimits: failureLimits(db, limiters, 'upstream-login'),
  callbackLimits: failureLimits(db, limiters, 'upstream-callback'),
})

const authorizationPolicy = (config: Config, { db, limiters }: Services) => ({
  ...failureLimits(db, limiters, 'authorize'),
  codeLifetimeMs: config.authorization.codeLifetimeMs,
  rememberConsent: config.authorization.rememberConsent,
  lasting: config.tokens,
})

const pushPolicy = (config: Config, { limiters }: Services) => ({
  lifetimeMs: config.authorization.pushedLifetimeMs,
  ...backChannelLimits(limiters, 'par'),
})

const devicePolicy = (config: Config, { db, limiters }: Services) =>
  ({
    lifetimeMs: config.authorization.deviceCodeLifetimeMs,
    lasting: config.tokens,
    ...failureLimits(db, limiters, 'device-code'),
    verifyLimiters: [limiters['device-verify'], limiters['device-verify-session']],
  }) as const

const tokenPolicy = (config: Config, { limiters }: Services) => ({
  ...config.tokens,
  ...backChannelLimits(limiters, 'token'),
  pollLimiter: limiters['token-device'],
})

const introspectionPolicy = (config: Config, { limiters }: Services) => ({
  requireOwnership: config.tokens.introspection.requireOwnership,
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
  loopbackHttp: config.server.privateAddresses,
  privateUseSchemes: config.clients.privateUseSchemes,
  requirePkce: config.clients.requirePkce,
  ...config.clients.registration,
  limiter: limiters.register,
})

/** No Request can be made of an address with a user in it (RFC 9110 §4.2.4), and nobody honest asks for one. */
const refuseUserInAddress: MiddlewareHandler<AppEnv> = (c, next) => {
  if (/^https?:\/\/[^/?#]*@/i.test(c.req.url))
    throw new PageError(400, 'Not an address', 'The address of the request names a user.')
  return next()
}

function refuseBody(): never {
  throw new PageError(413, 'That is too large', 'The request body is larger than 64 KiB.')
}
