/** A whole sign-in as the suite runs it, with everything that it looks at on the way. */
import { expect } from 'vitest'
import { askUserinfo, expectAnswer, expectTokens, verifyIdToken } from './checks.ts'
import { authorize, type Client, codeGrant, type Parameters, requestTokens } from './client.ts'
import type { Person, Suite } from './suite.ts'

export interface Flow {
  readonly client: Client
  /** Somebody with an empty browser, unless said otherwise. */
  readonly person?: Person
  /** Parameters of the authorization request. */
  readonly more?: Parameters
  /** Parameters of the token request. */
  readonly fields?: Readonly<Record<string, string>>
}

/** The flow of `AbstractOIDCCServerTest`: authorization, tokens, userinfo. */
export async function runFlow(
  suite: Suite,
  { client, person = suite.person(), more = {}, fields = {} }: Flow,
  how: { method?: 'GET' | 'POST' } = {},
) {
  const authorized = await authorize(suite, { client, person, more }, how)
  expectAnswer(suite, authorized)
  const tokens = await requestTokens(suite, client, { ...codeGrant(client, authorized), ...fields })
  expectTokens(tokens)
  const { nonce } = authorized.request
  const claims = await verifyIdToken(suite, { client, tokens, nonce })
  const response = await askUserinfo(suite, tokens.body.access_token)
  expect(response.status).toBe(200)
  const userinfo = (await response.json()) as Record<string, unknown>
  expect(userinfo['sub']).toBe(claims.sub)
  return { ...authorized, person, tokens, claims, userinfo }
}
