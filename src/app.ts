/** The composition root: every endpoint, the order of the middleware, the one error handler. */
import { Hono } from 'hono'
import { limitRows } from '#/domain/row-limits/row-limits.ts'
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
import { giveBackProofs } from '#/web/clients/give-back-proofs.ts'
import { allowOrigins } from '#/web/guards/cors.ts'
import { limitBody } from '#/web/guards/limit-body.ts'
import { methodNotAllowed, refuseHead } from '#/web/guards/method-not-allowed.ts'
import { requestTimeout } from '#/web/guards/request-timeout.ts'
import { securityHeaders } from '#/web/guards/security-headers.ts'
import { refuseUnstorableAddress } from '#/web/guards/storable.ts'
import { refuseUserInAddress } from '#/web/guards/user-in-address.ts'
import { requestCeiling } from '#/web/limits/ceiling.ts'
import { clientLimits } from '#/web/limits/limit-clients.ts'
import { failureLimits } from '#/web/limits/limit-failures.ts'
import { assetRoutes } from '#/web/pages/assets.ts'
import { accessLog } from '#/web/request/access-log.ts'
import { basePathOf, routing, underPath } from '#/web/request/base-path.ts'
import { isFromTrustedProxy } from '#/web/request/client-address.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { createErrorHandler, notFound } from '#/web/request/error-handler.ts'
import { requestContext } from '#/web/request/request-context.ts'
import { requestTelemetry } from '#/web/request/request-telemetry.ts'
import { type AppParts, createServices, type Services } from './services.ts'

export function createApp(parts: AppParts): Hono<AppEnv> {
  const { server, limits } = parts.config
  limitRows(parts.db, limits.rows)
  const services = createServices(parts)
  const stripped = server.proxyStripsPath
  const app = new Hono<AppEnv>(routing(basePathOf(server.baseUrl), { stripped }))
  addMiddleware(app, parts, services)
  for (const routes of [...pages(parts, services), ...protocol(parts, services), ...others(parts)])
    app.route('/', routes)
  app.get('/', (c) => c.redirect('/account/devices', 303))
  app.get('/account/sessions', (c) => c.redirect('/account/tokens', 303))
  app.use(methodNotAllowed(app))
  app.onError(createErrorHandler({ issuer: server.baseUrl }))
  app.notFound(notFound)
  return app
}

const probes: readonly string[] = ['/livez', '/readyz', '/health']

/** Probes and what is answered from memory. */
const isFree = (path: string) =>
  path.startsWith('/.well-known/') || path.startsWith('/assets/') || probes.includes(path)

/** In the order in which a request meets it. */
function addMiddleware(app: Hono<AppEnv>, parts: AppParts, { limiters }: Services) {
  const { config, db, recorder, log, clock } = parts
  const { baseUrl, secure, trustedProxies, cors, requestTimeoutMs } = config.server
  const scheme = secure ? 'https' : 'http'
  const trustTraceparent = (c: AppContext) => isFromTrustedProxy(c, trustedProxies)
  app.use(requestTelemetry({ recorder, scheme, trustTraceparent }))
  if (config.telemetry.log.access) app.use(accessLog(log, probes))
  if (basePathOf(baseUrl) !== '') app.use(underPath(basePathOf(baseUrl)))
  app.use(requestContext({ ...parts, trustedProxies, auditing: config.audit.enabled }))
  app.use(securityHeaders({ secure }))
  app.use(refuseUserInAddress)
  // Outside of the timeout, whose answer gives them back, too.
  for (const path of ['/oauth/*', '/auth/callback/*']) app.use(path, giveBackProofs(db))
  app.use(requestTimeout(requestTimeoutMs))
  for (const path of ['/oauth/authorize', '/oauth/logout', '/auth/*'])
    app.use(path, refuseHead(app))
  app.use(limitBody())
  allowOrigins(app, cors)
  const { requests, 'access-token': tokens } = limiters
  app.use(requestCeiling({ db, requests, tokens, now: () => clock().getTime(), isFree }))
  app.use(refuseUnstorableAddress)
}

/** What people see. */
const pages = ({ config: { providers } }: AppParts, services: Services) => [
  loginRoutes({ ...services, limits: services.limiters }),
  upstreamRoutes({
    ...services,
    autoRegister: providers.autoRegister,
    loginLimits: failureLimits(services, 'upstream-login'),
    callbackLimits: failureLimits(services, 'upstream-callback'),
  }),
  logoutRoutes(services),
  accountRoutes({ ...services, passwordLimiter: services.limiters.password }),
  appRoutes({ ...services, limiter: services.limiters.apps }),
  adminRoutes(services),
]

/** What clients talk to, and where they send people. */
function protocol({ config }: AppParts, services: Services) {
  const { authorization, tokens, clients } = config
  const { limiters } = services
  const rules = { ...services, ...authorization, openRegistration: clients.openRegistration }
  return [
    authorizeRoutes({ ...rules, ...failureLimits(services, 'authorize'), lasting: tokens }),
    parRoutes({
      ...rules,
      ...clientLimits(services, 'par'),
      lifetimeMs: authorization.pushedLifetimeMs,
    }),
    tokenRoutes({
      ...services,
      ...tokens,
      ...clientLimits(services, 'token'),
      pollLimiter: limiters['token-device'],
    }),
    deviceRoutes({
      ...services,
      ...failureLimits(services, 'device-code'),
      verifyLimiters: [limiters['device-verify'], limiters['device-verify-session']],
      lifetimeMs: authorization.deviceCodeLifetimeMs,
      lasting: tokens,
    }),
    introspectRoutes({
      ...services,
      ...clientLimits(services, 'introspect'),
      ...tokens.introspection,
    }),
    revokeRoutes({ ...services, ...clientLimits(services, 'revoke') }),
    userinfoRoutes(services),
    tokeninfoRoutes(services),
    registerRoutes({ ...services, ...clients.registration, limiter: limiters.register }),
    discoveryRoutes({ ...rules, registration: clients.registration.enabled }),
  ]
}

const others = ({ config: { server }, ready, draining }: AppParts) => [
  assetRoutes(),
  securityTxtRoutes({ issuer: server.baseUrl, ...server.securityTxt }),
  healthRoutes({ databaseAnswers: ready, draining }),
]
