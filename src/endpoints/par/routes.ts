/**
 * POST /oauth/par (RFC 9126): a client brings its authorization request itself, authenticated, and gets a reference with
 * which its user's browser comes. What is wrong with the request is said here, before any user is involved.
 */
import { Hono } from 'hono'
import {
  pushAuthorizationRequest,
  requestUriOf,
} from '#/domain/authorization-requests/authorization-requests.ts'
import { type ClientLimits, limitClients } from '#/web/limits/limit-clients.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { type CheckOptions, checkPushedRequest, identifySender, type Sender } from './checks.ts'

export interface ParOptions extends CheckOptions, ClientLimits {
  /** Until a browser comes with it. */
  readonly lifetimeMs: number
}

export function parRoutes(options: ParOptions): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/oauth/par', (c) => postPar(c, options))
}

const postPar = (c: AppContext, options: ParOptions) =>
  limitClients(c, options, {
    identify: () => identifySender(c, options),
    handle: (request) => push(c, options, request),
  })

async function push(c: AppContext, options: ParOptions, sender: Sender) {
  const { db, lifetimeMs } = options
  const request = await checkPushedRequest(c, options, sender)
  const id = await pushAuthorizationRequest(db, request, { lifetimeMs, now: c.var.now })
  c.var.recorder.authorizationRequestPushed('pushed')
  // RFC 9126 §2.2.
  return c.json({ request_uri: requestUriOf(id), expires_in: Math.floor(lifetimeMs / 1000) }, 201)
}
