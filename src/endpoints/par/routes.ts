/**
 * POST /oauth/par (RFC 9126): a client brings its authorization request itself, authenticated, and gets a reference with
 * which its user's browser comes. What is wrong with the request is said here, before any user is involved.
 */
import { Hono } from 'hono'
import {
  pushAuthorizationRequest,
  requestUriOf,
} from '#/domain/authorization-requests/authorization-requests.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { parseAuthorizationRequest, type RequestRules } from '#/web/authorization-request/parse.ts'
import {
  authenticateClient,
  type ClientAuthentication,
} from '#/web/clients/client-authentication.ts'
import { consumeDpopProof, type DpopOptions, readDpopProof } from '#/web/clients/dpop.ts'
import { type ClientLimits, limitClients } from '#/web/limits/limit-clients.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { readFields, uniqueParameters } from '#/web/request/forms.ts'

export interface ParOptions extends RequestRules, ClientLimits {
  readonly authentication: ClientAuthentication
  readonly dpop: DpopOptions
  /** Until a browser comes with it. */
  readonly lifetimeMs: number
}

export function parRoutes(options: ParOptions): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/oauth/par', (c) => postPar(c, options))
}

const postPar = (c: AppContext, options: ParOptions) =>
  limitClients(c, options, {
    identify: () => identify(c, options),
    handle: (request) => push(c, options, request),
  })

async function push(
  c: AppContext,
  options: ParOptions,
  { fields, client, proof }: Awaited<ReturnType<typeof identify>>,
) {
  const { db, lifetimeMs } = options
  const { now } = c.var
  // RFC 9126 §2.1.
  if (fields.has('request_uri'))
    throw new OAuthError('invalid_request', 'a pushed request must not contain a request_uri')
  const parameters = parametersOf(fields, client.clientId)
  const { request } = await parse({ parameters, pushed: true, now }, options)
  // RFC 9449 §10.1: the proof names the key that the code is bound to, as dpop_jkt does.
  if (proof && request.dpopJkt !== null && request.dpopJkt !== proof.jkt)
    throw new OAuthError('invalid_dpop_proof', 'dpop_jkt does not match the key of the DPoP proof')
  if (proof) await consumeDpopProof(c, db, { proof, status: 400 })
  const dpopJkt = proof?.jkt ?? request.dpopJkt
  const id = await pushAuthorizationRequest(db, { ...request, dpopJkt }, { lifetimeMs, now })
  c.var.recorder.authorizationRequestPushed('pushed')
  // RFC 9126 §2.2.
  return c.json({ request_uri: requestUriOf(id), expires_in: Math.floor(lifetimeMs / 1000) }, 201)
}

async function identify(c: AppContext, options: ParOptions) {
  const fields = await readFields(c)
  const form = uniqueParameters(fields, ['resource'])
  // Before the client: one that has to try again with our nonce may send the same assertion.
  const proof = await readDpopProof(c, options.dpop, { status: 400 })
  const client = await authenticateClient(c, options.authentication, form)
  return { fields, client, proof }
}

/** What proves the client is no part of the request. */
const ofAuthentication = ['client_secret', 'client_assertion', 'client_assertion_type']

function parametersOf(fields: URLSearchParams, clientId: string): URLSearchParams {
  const parameters = new URLSearchParams(fields)
  for (const name of ofAuthentication) parameters.delete(name)
  parameters.set('client_id', clientId)
  return parameters
}

/** RFC 9126 §2.3: a redirect URI that is not registered is a request that is not valid. */
async function parse(...arrived: Parameters<typeof parseAuthorizationRequest>) {
  try {
    return await parseAuthorizationRequest(...arrived)
  } catch (error) {
    if (error instanceof OAuthError && error.code === 'invalid_redirect_uri')
      throw new OAuthError('invalid_request', error.message)
    throw error
  }
}
