/** The plan `oidcc-rp-initiated-logout-certification-test-plan`. */
import { decodeJwt, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectErrorAnswer, expectErrorPage } from '../../support/openid/checks.ts'
import {
  addressOf,
  authorizationRequest,
  type Client,
  createClientKey,
  randomText,
  register,
} from '../../support/openid/client.ts'
import { runFlow } from '../../support/openid/flow.ts'
import { type Person, type Suite, startSuite } from '../../support/openid/suite.ts'

const afterwards = 'https://suite.example.test/test/a/authgate/post_logout_redirect'

let suite: Suite
let client: Client
beforeAll(async () => {
  suite = await startSuite()
  client = await register(suite, { metadata: { post_logout_redirect_uris: [afterwards] } })
})
afterAll(() => suite?.end())

/** Signs somebody in, and sends them to sign out with these parameters. */
async function signOut(
  parametersOf: (
    idToken: string,
    state: string,
  ) => Record<string, string> | Promise<Record<string, string>>,
) {
  const { person, tokens } = await runFlow(suite, { client })
  const state = randomText(128)
  const parameters = await parametersOf(tokens.body.id_token, state)
  const outcome = await person.visit(addressOf(suite.metadata.end_session_endpoint, parameters))
  return { person, state, outcome }
}

/** The suite's second authorization, with prompt=none: nobody is signed in any more. */
async function expectSignedOut(person: Person, isOut = true) {
  const request = authorizationRequest(client, { prompt: 'none', state: randomText(128) })
  const outcome = await person.visit(addressOf(suite.metadata.authorization_endpoint, request))
  if (!isOut) return expect(outcome.callback?.parameters['code']).toBeTruthy()
  expectErrorAnswer(suite, outcome, {
    state: request['state'] ?? '',
    errors: ['login_required', 'interaction_required'],
  })
}

const whole = (idToken: string, state: string) => ({
  id_token_hint: idToken,
  post_logout_redirect_uri: afterwards,
  state,
})

it('oidcc-rp-initiated-logout-discovery-endpoint-verification: names the endpoint', () => {
  expect(suite.metadata.end_session_endpoint).toMatch(new RegExp(`^${suite.issuer}/`))
})

it('oidcc-rp-initiated-logout: signs out without asking, and leads back with the state alone', async () => {
  const { person, state, outcome } = await signOut(whole)
  expect(outcome.shown).toEqual([])
  expect(outcome.callback).toEqual({
    address: `${afterwards}?state=${state}`,
    by: 'query',
    parameters: { state },
  })
  await expectSignedOut(person)
})

it('oidcc-rp-initiated-logout-no-state: leads back without one', async () => {
  const { person, outcome } = await signOut((idToken) => ({
    id_token_hint: idToken,
    post_logout_redirect_uri: afterwards,
  }))
  expect(outcome.callback?.address).toBe(afterwards)
  await expectSignedOut(person)
})

describe('what cannot be trusted leads to an error page, and signs nobody out', () => {
  it.each([
    ['oidcc-rp-initiated-logout-bad-post-logout-redirect-uri', `${afterwards}/${randomText()}`],
    ['oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri', `${afterwards}?foo=bar`],
  ])('%s', async (_, elsewhere) => {
    const { person, outcome } = await signOut((idToken, state) => ({
      ...whole(idToken, state),
      post_logout_redirect_uri: elsewhere,
    }))
    expectErrorPage(outcome, /not registered/)
    await expectSignedOut(person, false)
  })

  it('oidcc-rp-initiated-logout-modified-id-token-hint: an ID token without signature', async () => {
    const { person, outcome } = await signOut((idToken, state) =>
      whole(new UnsecuredJWT(decodeJwt(idToken)).encode(), state),
    )
    expectErrorPage(outcome, /not issued by this server/)
    await expectSignedOut(person, false)
  })

  it('oidcc-rp-initiated-logout-bad-id-token-hint: an ID token that somebody else signed', async () => {
    const { privateKey } = await createClientKey()
    const { person, outcome } = await signOut(async (idToken, state) =>
      whole(
        await new SignJWT(decodeJwt(idToken)).setProtectedHeader({ alg: 'RS256' }).sign(privateKey),
        state,
      ),
    )
    expectErrorPage(outcome, /not issued by this server/)
    await expectSignedOut(person, false)
  })

  it('oidcc-rp-initiated-logout-no-id-token-hint: an address of nobody known', async () => {
    const { person, outcome } = await signOut((_, state) => ({
      post_logout_redirect_uri: afterwards,
      state,
    }))
    expectErrorPage(outcome, /not registered/)
    await expectSignedOut(person, false)
  })
})

describe('without an address to go to, it ends on a page that says so', () => {
  it.each<[string, (idToken: string, state: string) => Record<string, string>, string[]]>([
    // Nothing says whose wish it is, so the person is asked.
    ['oidcc-rp-initiated-logout-no-params', () => ({}), ['logout', 'other']],
    ['oidcc-rp-initiated-logout-only-state', (_, state) => ({ state }), ['logout', 'other']],
    [
      'oidcc-rp-initiated-logout-no-post-logout-redirect-uri',
      (idToken, state) => ({ id_token_hint: idToken, state }),
      ['other'],
    ],
  ])('%s', async (_, parametersOf, shown) => {
    const { person, outcome } = await signOut(parametersOf)
    expect(outcome).toMatchObject({ shown, status: 200, callback: undefined })
    expect(outcome.pages.at(-1)).toMatch(/You are signed out/)
    await expectSignedOut(person)
  })
})
