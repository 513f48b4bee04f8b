/** What the suite looks at in every answer, whichever module it belongs to. */
import { createHash } from 'node:crypto'
import { createRemoteJWKSet, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import { expect } from 'vitest'
import type { Authorized, Client, TokenAnswer } from './client.ts'
import type { Suite } from './suite.ts'
import type { Outcome } from './walk.ts'

/** ValidateIdToken, ValidateIdTokenNonce, ValidateIdTokenSignatureUsingKid, CheckForSubjectInIdToken, ValidateAtHash. */
export async function verifyIdToken(
  suite: Suite,
  { client, tokens, nonce }: { client: Client; tokens: TokenAnswer; nonce: string | undefined },
): Promise<JWTPayload> {
  const { id_token: idToken, access_token: accessToken } = tokens.body
  const header = decodeProtectedHeader(idToken)
  expect(header).toMatchObject({ alg: 'RS256', kid: expect.any(String) })
  const keys = createRemoteJWKSet(new URL(suite.metadata.jwks_uri))
  const { payload } = await jwtVerify(idToken, keys, {
    issuer: suite.issuer,
    audience: client.clientId,
    requiredClaims: ['exp', 'iat', 'sub'],
  })
  expect(payload['nonce']).toBe(nonce)
  expect(payload.sub).toMatch(/^[\x20-\x7e]{1,255}$/)
  const digest = createHash('sha256').update(accessToken).digest()
  expect(payload['at_hash'] ?? '').toBe(digest.subarray(0, 16).toString('base64url'))
  // EnsureIdTokenDoesNotContainName; what scopes tell is for userinfo.
  expect(payload).not.toHaveProperty('name')
  expect(payload).not.toHaveProperty('azp')
  return payload
}

/** The checks of `AbstractOIDCCServerTest` on an answer of the token endpoint. */
export function expectTokens({ status, headers, body }: TokenAnswer, tokenType = 'Bearer') {
  expect({ status, body }).toMatchObject({
    status: 200,
    body: {
      access_token: expect.stringMatching(/^[\x20-\x7e]{22,}$/),
      token_type: tokenType,
      expires_in: expect.any(Number),
    },
  })
  expect(headers.get('content-type')).toMatch(/^application\/json/)
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('pragma')).toBe('no-cache')
}

/** RFC 6749 §5.2: the suite wants the status, the type and characters that fit, and compares the code. */
export function expectTokenError({ status, headers, body }: TokenAnswer, ...errors: string[]) {
  expect(errors).toContain(body.error)
  expect(status === 400 || (status === 401 && body.error === 'invalid_client')).toBe(true)
  expect(headers.get('content-type')).toMatch(/^application\/json/)
  expect(body.error_description ?? '').toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/)
}

/** The answer of the authorization endpoint, for a code (RFC 6749 §4.1.2, RFC 9207). */
export function expectAnswer(suite: Suite, { request, outcome, answer }: Authorized) {
  const { by, address } = outcome.callback ?? {}
  expect(by).toBe(request['response_mode'] ?? 'query')
  // RejectAuthCodeInUrlQuery, RejectErrorInUrlQuery.
  if (by === 'form_post') expect(address).toBe(request['redirect_uri'])
  expect(answer).toEqual({ code: expect.any(String), state: request['state'], iss: suite.issuer })
}

/** `performGenericAuthorizationEndpointErrorResponseValidation`: an error that comes back with the state, and no code. */
export function expectErrorAnswer(
  suite: Suite,
  outcome: Outcome,
  { state, errors }: { state: string; errors: readonly string[] },
) {
  const { parameters = {} } = outcome.callback ?? {}
  expect(errors).toContain(parameters['error'])
  const { error_description: description = '', ...rest } = parameters
  expect(rest).toEqual({ error: parameters['error'], state, iss: suite.issuer })
  expect(description).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/)
}

/** A page that says what is wrong, from which nobody is sent anywhere. */
export function expectErrorPage({ callback, status, headers, pages }: Outcome, words: RegExp) {
  expect({ callback, status }).toEqual({ callback: undefined, status: 400 })
  expect(headers.get('content-type')).toMatch(/^text\/html/)
  expect(pages.at(-1)).toMatch(words)
}

export const askUserinfo = ({ metadata }: Suite, accessToken: string) =>
  fetch(metadata.userinfo_endpoint, { headers: { authorization: `Bearer ${accessToken}` } })

/** ValidateUserInfoStandardClaims and EnsureUserInfoUpdatedAtValid. */
export function expectStandardClaims(claims: Readonly<Record<string, unknown>>) {
  const types: Readonly<Record<string, string>> = {
    email_verified: 'boolean',
    phone_number_verified: 'boolean',
    updated_at: 'number',
    address: 'object',
  }
  for (const [name, value] of Object.entries(claims))
    expect([name, typeof value]).toEqual([name, types[name] ?? 'string'])
  expect(claims['sub']).toMatch(/./)
  if (claims['updated_at'] !== undefined)
    expect(claims['updated_at']).toBeLessThan(Date.now() / 1000 + 5)
}
