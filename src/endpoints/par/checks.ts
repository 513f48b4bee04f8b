/** What a pushed authorization request (RFC 9126) is checked for, in this order; each check throws. */
import type { RequestedAuthorization } from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { DpopProof } from '#/protocol/dpop.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { parseAuthorizationRequest, type RequestRules } from '#/web/authorization-request/parse.ts'
import {
  authenticateClient,
  type ClientAuthentication,
} from '#/web/clients/client-authentication.ts'
import { consumeDpopProof, type DpopOptions, readDpopProof } from '#/web/clients/dpop.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readFields, uniqueParameters } from '#/web/request/forms.ts'

export interface CheckOptions extends RequestRules {
  readonly authentication: ClientAuthentication
  readonly dpop: DpopOptions
}

export interface Sender {
  readonly fields: URLSearchParams
  readonly client: Client
  readonly proof: DpopProof | undefined
}

/** Who sent it. The proof comes before the client: one that has to try again with our nonce may send the same assertion. */
export async function identifySender(c: AppContext, options: CheckOptions): Promise<Sender> {
  const fields = await readFields(c)
  const form = uniqueParameters(fields, ['resource']) // RFC 6749 §3.1
  const proof = await readDpopProof(c, options.dpop, { status: 400 }) // RFC 9449 §10.1
  const client = await authenticateClient(c, options.authentication, form) // RFC 9126 §2
  return { fields, client, proof }
}

/** The request, once it is counted against its sender. */
export async function checkPushedRequest(
  c: AppContext,
  options: CheckOptions,
  { fields, client, proof }: Sender,
): Promise<RequestedAuthorization> {
  refuseReference(fields) // RFC 9126 §2.1
  const request = await parse(c, fields, { ...options, client }) // RFC 9126 §2.3
  requireSameKey(request, proof) // RFC 9449 §10.1
  if (proof) await consumeDpopProof(c, options.db, { proof, status: 400 }) // RFC 9449 §11.1
  return { ...request, dpopJkt: proof?.jkt ?? request.dpopJkt }
}

function refuseReference(fields: URLSearchParams) {
  if (fields.has('request_uri'))
    throw new OAuthError('invalid_request', 'a pushed request must not contain a request_uri')
}

/** A redirect URI that is not registered is a request that is not valid. */
async function parse(
  c: AppContext,
  fields: URLSearchParams,
  { client, ...rules }: RequestRules & Pick<Sender, 'client'>,
) {
  const parameters = parametersOf(fields, client.clientId)
  try {
    const arrived = { parameters, pushed: true, now: c.var.now }
    return (await parseAuthorizationRequest(arrived, rules)).request
  } catch (error) {
    if (error instanceof OAuthError && error.code === 'invalid_redirect_uri')
      throw new OAuthError('invalid_request', error.message)
    throw error
  }
}

/** What proves the client is no part of the request. */
const ofAuthentication = ['client_secret', 'client_assertion', 'client_assertion_type']

function parametersOf(fields: URLSearchParams, clientId: string): URLSearchParams {
  const parameters = new URLSearchParams(fields)
  for (const name of ofAuthentication) parameters.delete(name)
  parameters.set('client_id', clientId)
  return parameters
}

/** The proof names the key that the code is bound to, as dpop_jkt does. */
function requireSameKey({ dpopJkt }: RequestedAuthorization, proof: DpopProof | undefined) {
  if (proof && dpopJkt !== null && dpopJkt !== proof.jkt)
    throw new OAuthError('invalid_dpop_proof', 'dpop_jkt does not match the key of the DPoP proof')
}
