/** A client of the FAPI 2.0 plan: it pushes its requests, proves itself with one key, and binds its tokens to another. */
import { expect } from 'vitest'
import { createKey, type Proof, type ProofKey, signDpopProof } from '../proofs.ts'
import {
  addressOf,
  type Client,
  callback,
  createClientKey,
  type Parameters,
  pkce,
  randomText,
  register,
  signAssertion,
} from './client.ts'
import type { Person, Suite } from './suite.ts'
import type { Outcome } from './walk.ts'

export interface FapiClient extends Client {
  readonly dpop: ProofKey
  readonly scope: string
}

/** The second redirect URI of the plan, for its second client. */
export const callbackWithQuery = `${callback}?dummy1=lorem&dummy2=ipsum`

export async function registerFapi(suite: Suite, scope: string): Promise<FapiClient> {
  const key = await createClientKey('ES256', randomText())
  const client = await register(suite, {
    authentication: 'private_key_jwt',
    key,
    metadata: {
      redirect_uris: [callback, callbackWithQuery],
      grant_types: ['authorization_code', 'refresh_token'],
      scope: 'openid profile email offline_access',
      token_endpoint_auth_signing_alg: 'ES256',
      id_token_signed_response_alg: 'ES256',
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
    },
  })
  return { ...client, dpop: await createKey('ES256'), scope }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>> & { readonly error?: string }
}

interface Call {
  readonly method?: string
  readonly fields?: URLSearchParams | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** A DPoP proof with this key; none without it. */
  readonly key?: ProofKey | undefined
  readonly proof?: Partial<Proof>
}

/** A call with a proof; once more with the nonce where one is asked for, as the suite does it. */
export async function call(
  address: string,
  { method = 'POST', fields, headers, key, proof }: Call,
) {
  const send = async (nonce?: string): Promise<Answer> => {
    const about = { htm: method, htu: address, now: new Date(), nonce, ...proof }
    const response = await fetch(address, {
      method,
      headers: { ...headers, ...(key && { dpop: await signDpopProof(key, about) }) },
      ...(fields && { body: fields }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json')
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? (JSON.parse(text) as Answer['body']) : {},
    }
  }
  const first = await send()
  const nonce = first.headers.get('dpop-nonce') ?? ''
  if (first.body.error !== 'use_dpop_nonce') return first
  expect(nonce).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/)
  return send(nonce)
}

/** What the plan changes about an assertion: claims, or whose key signs it. */
export interface Changes {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly client?: Client
  /** Instead of an assertion. */
  readonly fields?: Readonly<Record<string, string>>
}

export async function authenticated(
  suite: Suite,
  client: Client,
  parameters: Readonly<Record<string, string>>,
  { claims, client: signer = client, fields }: Changes = {},
): Promise<URLSearchParams> {
  if (fields) return new URLSearchParams({ ...parameters, ...fields })
  return new URLSearchParams({
    ...parameters,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await signAssertion(suite, signer, { aud: suite.issuer, ...claims }),
  })
}

export interface Pushed {
  readonly parameters: Readonly<Record<string, string>>
  readonly verifier: string
  readonly answer: Answer
  readonly requestUri: string
}

interface Push {
  readonly more?: Parameters
  readonly changes?: Changes
  /** With a DPoP proof. */
  readonly key?: ProofKey
  readonly proof?: Partial<Proof>
}

export async function push(
  suite: Suite,
  client: FapiClient,
  { more = {}, changes, key, proof }: Push = {},
): Promise<Pushed> {
  const { verifier, parameters: challenge } = pkce()
  const all: Parameters = {
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    scope: client.scope,
    state: randomText(),
    ...(client.scope.includes('openid') && { nonce: randomText() }),
    response_type: 'code',
    ...challenge,
    ...more,
  }
  const parameters = Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const fields = await authenticated(suite, client, parameters, changes)
  const endpoint = suite.metadata.pushed_authorization_request_endpoint
  const answer = await call(endpoint, { fields, key, ...(proof && { proof }) })
  return { parameters, verifier, answer, requestUri: String(answer.body['request_uri']) }
}

/** Goes to the authorization endpoint with what was pushed, and the parameters that the suite repeats beside it. */
export function visit(
  { metadata }: Suite,
  person: Person,
  { parameters, requestUri }: Pushed,
  more: Parameters = {},
): Promise<Outcome> {
  const { client_id, redirect_uri, scope, response_type } = parameters
  const all = { client_id, redirect_uri, scope, response_type, request_uri: requestUri, ...more }
  const beside = Object.entries(all).filter((entry): entry is [string, string] => !!entry[1])
  return person.visit(addressOf(metadata.authorization_endpoint, Object.fromEntries(beside)))
}

export interface Exchange {
  readonly changes?: Changes
  readonly key?: ProofKey | undefined
  readonly proof?: Partial<Proof>
  readonly more?: Readonly<Record<string, string>>
}

export async function exchange(
  suite: Suite,
  client: FapiClient,
  grant: Readonly<Record<string, string>>,
  { changes, key = client.dpop, proof }: Exchange = {},
): Promise<Answer> {
  const fields = await authenticated(suite, client, grant, changes)
  return call(suite.metadata.token_endpoint, { fields, key, ...(proof && { proof }) })
}

/** Pushes, signs in, and comes back with the grant that the code makes. */
export async function obtainGrant(
  suite: Suite,
  client: FapiClient,
  options: Push = {},
): Promise<{ grant: Record<string, string>; pushed: Pushed; outcome: Outcome }> {
  const pushed = await push(suite, client, options)
  expect(pushed.answer).toMatchObject({ status: 201, body: { expires_in: expect.any(Number) } })
  expect(pushed.requestUri).toMatch(/^urn:ietf:params:oauth:request_uri:.{22,}$/)
  const outcome = await visit(suite, suite.person(), pushed)
  const { code = '', ...rest } = outcome.callback?.parameters ?? {}
  const { state } = pushed.parameters
  expect(outcome.callback?.by).toBe('query')
  expect(rest).toMatchObject({ iss: suite.issuer, ...(state !== undefined && { state }) })
  expect(code).toMatch(/^.{22,}$/)
  const grant = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: pushed.parameters['redirect_uri'] ?? '',
    code_verifier: pushed.verifier,
  }
  return { grant, pushed, outcome }
}
