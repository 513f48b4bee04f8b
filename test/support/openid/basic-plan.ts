/**
 * The modules of the plans `oidcc-basic-certification-test-plan` and `oidcc-formpost-basic-certification-test-plan` of the
 * conformance suite: the same ones, with the answers in the query or in a form. Each test bears the name of its module.
 */
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  askUserinfo,
  expectErrorAnswer,
  expectErrorPage,
  expectStandardClaims,
  expectTokenError,
  expectTokens,
} from './checks.ts'
import {
  addressOf,
  authorizationRequest,
  authorize,
  type Client,
  codeGrant,
  type Parameters,
  pkce,
  randomText,
  register,
  requestTokens,
} from './client.ts'
import { type Flow, runFlow } from './flow.ts'
import { type Suite, startSuite } from './suite.ts'
import type { Outcome } from './walk.ts'

export type ResponseMode = 'default' | 'form_post'

export function basicPlan(mode: ResponseMode): void {
  let suite: Suite
  let client: Client
  beforeAll(async () => {
    suite = await startSuite()
    client = await register(suite)
  })
  afterAll(() => suite?.end())

  const inMode: Parameters = mode === 'form_post' ? { response_mode: 'form_post' } : {}
  const by = mode === 'form_post' ? 'form_post' : 'query'
  const flow = ({ more, ...rest }: Partial<Flow> = {}, how?: { method: 'POST' }) =>
    runFlow(suite, { client, ...rest, more: { ...inMode, ...more } }, how)
  const visit = (more: Parameters) => {
    const request = authorizationRequest(client, { ...inMode, ...more })
    return suite.person().visit(addressOf(suite.metadata.authorization_endpoint, request))
  }
  const expectError = (outcome: Outcome, state: string, errors: readonly string[]) => {
    expect(outcome.callback?.by).toBe(by)
    expectErrorAnswer(suite, outcome, { state, errors })
  }

  describe.each(['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const)(
    'with %s',
    (authentication) => {
      it('oidcc-server: signs in, and everything about the answers is right', async () => {
        const who = await register(suite, { authentication })
        const { outcome } = await flow({ client: who })
        expect(outcome.shown).toEqual(['login', 'consent'])
      })
    },
  )

  it('oidcc-response-type-missing: comes back with an error', async () => {
    const state = randomText()
    const outcome = await visit({ response_type: undefined, state })
    expectError(outcome, state, ['invalid_request', 'unsupported_response_type'])
  })

  it('oidcc-idtoken-signature: signs ID tokens with RS256 and a kid where nothing was asked for', async () => {
    // verifyIdToken insists on both.
    await flow()
    expect(client.registered['id_token_signed_response_alg']).toBe('RS256')
  })

  it('oidcc-idtoken-unsigned: is skipped, since no unsigned ID token is offered', async () => {
    expect(suite.metadata['id_token_signing_alg_values_supported']).not.toContain('none')
    await expect(
      register(suite, { metadata: { id_token_signed_response_alg: 'none' } }),
    ).rejects.toThrow('invalid_client_metadata')
  })

  describe('userinfo', () => {
    const ways: readonly [string, (token: string) => RequestInit][] = [
      ['oidcc-userinfo-get', (token) => ({ headers: { authorization: `Bearer ${token}` } })],
      [
        'oidcc-userinfo-post-header',
        (token) => ({ method: 'POST', headers: { authorization: `Bearer ${token}` } }),
      ],
      [
        'oidcc-userinfo-post-body',
        (token) => ({ method: 'POST', body: new URLSearchParams({ access_token: token }) }),
      ],
    ]
    it.each(ways)('%s: tells the sub of the ID token, as JSON', async (_, initOf) => {
      const { tokens, claims } = await flow()
      const init = initOf(tokens.body.access_token)
      const response = await fetch(suite.metadata.userinfo_endpoint, init)
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toMatch(/^application\/json/)
      const userinfo = (await response.json()) as Record<string, unknown>
      expect(userinfo['sub']).toBe(claims.sub)
      expectStandardClaims(userinfo)
    })
  })

  it('oidcc-ensure-request-without-nonce-succeeds-for-code-flow: signs in without one', async () => {
    const { claims } = await flow({ more: { nonce: undefined } })
    expect(claims).not.toHaveProperty('nonce')
  })

  describe('scopes', () => {
    // The suite warns that not all claims of `profile` are there; it skips what discovery does not list.
    it.each([
      ['oidcc-scope-profile', 'openid profile', ['name', 'preferred_username', 'updated_at']],
      ['oidcc-scope-email', 'openid email', ['email', 'email_verified']],
      ['oidcc-ensure-other-scope-order-succeeds', 'email openid', ['email', 'email_verified']],
    ])('%s: userinfo tells what the scope stands for', async (_, scope, names) => {
      const { userinfo } = await flow({ more: { scope } })
      expectStandardClaims(userinfo)
      expect(Object.keys(userinfo).sort()).toEqual([...names, 'sub'].sort())
    })

    it('oidcc-scope-address, -phone and -all: are skipped; asked all the same, they do no harm', async () => {
      const supported = suite.metadata['scopes_supported']
      for (const scope of ['address', 'phone']) expect(supported).not.toContain(scope)
      const { userinfo } = await flow({ more: { scope: 'openid profile email address phone' } })
      expect(userinfo).toMatchObject({ email: expect.any(String) })
    })
  })

  describe('parameters that need not be understood do no harm', () => {
    it.each<[string, Parameters]>([
      ['oidcc-display-page', { display: 'page' }],
      ['oidcc-display-popup', { display: 'popup' }],
      ['oidcc-ensure-request-with-unknown-parameter-succeeds', { extra: 'foobar' }],
      ['oidcc-login-hint', { login_hint: 'buffy@127.0.0.1' }],
      ['oidcc-ui-locales', { ui_locales: 'se' }],
      ['oidcc-claims-locales', { claims_locales: 'se' }],
    ])('%s', async (_, more) => {
      await flow({ more })
    })

    it('oidcc-ensure-request-with-acr-values-succeeds: the ID token names one of those asked for', async () => {
      const offered = suite.metadata['acr_values_supported'] as unknown as string[]
      const { claims } = await flow({ more: { acr_values: offered.join(' ') } })
      expect(offered).toContain(claims['acr'])
      await flow({ more: { acr_values: '1 2' } })
    })
  })

  const pause = (milliseconds: number) =>
    new Promise((resolve) => {
      setTimeout(resolve, milliseconds)
    })

  describe('the time of the sign-in', () => {
    it('oidcc-prompt-login: asks for the password again, and auth_time moves on', async () => {
      const first = await flow()
      await pause(1000)
      const second = await flow({ person: first.person, more: { prompt: 'login' } })
      expect(second.outcome.shown[0]).toBe('login')
      expect(second.claims['auth_time']).toBeGreaterThan(Number(first.claims['auth_time']))
      expect(second.claims.sub).toBe(first.claims.sub)
    })

    it('oidcc-max-age-1: asks for the password again once it is too long ago, and tells when that was', async () => {
      const first = await flow()
      await pause(2000)
      const second = await flow({ person: first.person, more: { max_age: '1' } })
      expect(second.outcome.shown[0]).toBe('login')
      expect(second.claims['auth_time']).toBeGreaterThan(Number(first.claims['auth_time']))
      expect(second.claims['auth_time']).toBeGreaterThan(Date.now() / 1000 - 60)
    })

    it.each<[string, Parameters, Parameters]>([
      ['oidcc-max-age-10000', { max_age: '15000' }, { max_age: '10000' }],
      ['oidcc-prompt-none-logged-in', {}, { prompt: 'none' }],
    ])('%s: comes back at once, from the same sign-in', async (_, before, more) => {
      const first = await flow({ more: before })
      await pause(1000)
      const second = await flow({ person: first.person, more })
      expect(second.outcome.shown).toEqual([])
      expect(second.claims['auth_time']).toBe(first.claims['auth_time'])
      expect(second.claims.sub).toBe(first.claims.sub)
    })

    it('oidcc-id-token-hint: with prompt=none comes back at once, for the same person', async () => {
      const { person, tokens, claims } = await flow()
      const hint = { id_token_hint: tokens.body.id_token }
      const second = await flow({ person, more: { prompt: 'none', ...hint } })
      expect(second.outcome.shown).toEqual([])
      expect(second.claims).toMatchObject({ sub: claims.sub, auth_time: claims['auth_time'] })
    })

    it('oidcc-prompt-none-not-logged-in: comes back with an error and a long state, unharmed', async () => {
      const state = randomText(128)
      const outcome = await visit({ prompt: 'none', state })
      expect(outcome.shown).toEqual([])
      expectError(outcome, state, ['login_required', 'interaction_required'])
    })
  })

  // How the answer travels makes no difference to the second, and half a minute is long.
  const waits = {
    'oidcc-codereuse': 0,
    ...(mode === 'default' && { 'oidcc-codereuse-30seconds': 30_000 }),
  }
  it.each(Object.entries(waits))(
    '%s: the code is refused, and what it had given is taken back',
    async (_, wait) => {
      const { tokens, code } = await flow()
      await pause(wait)
      expectTokenError(
        await requestTokens(suite, client, codeGrant(client, { code })),
        'invalid_grant',
      )
      expect((await askUserinfo(suite, tokens.body.access_token)).status).toBe(401)
    },
  )

  it('oidcc-ensure-registered-redirect-uri: shows an error page, and leads nowhere', async () => {
    const elsewhere = `${client.redirectUri}/${randomText()}`
    expectErrorPage(await visit({ redirect_uri: elsewhere }), /redirect_uri is not registered/)
  })

  it('oidcc-ensure-post-request-succeeds: takes the request from a form', async () => {
    const { outcome } = await flow({}, { method: 'POST' })
    expect(outcome.shown[0]).toBe('login')
  })

  it('oidcc-claims-essential: userinfo tells the name that was asked for, the ID token does not', async () => {
    const claims = JSON.stringify({ userinfo: { name: { essential: true } } })
    const { userinfo } = await flow({ more: { claims } })
    expectStandardClaims(userinfo)
    expect(userinfo['name']).toMatch(/./)
  })

  it('oidcc-request-uri-unsigned…, oidcc-unsigned-request-object… and oidcc-ensure-request-object-with-redirect-uri: are skipped, since requests have to be signed', () => {
    expect(suite.metadata['request_object_signing_alg_values_supported']).toContain('RS256')
    expect(suite.metadata['request_object_signing_alg_values_supported']).not.toContain('none')
  })

  describe('oidcc-refresh-token', () => {
    const offline = { scope: 'openid offline_access', prompt: 'consent' }

    async function signInOffline(more: Parameters = {}) {
      const grants = ['authorization_code', 'refresh_token']
      const who = await register(suite, { metadata: { grant_types: grants } })
      return { who, ...(await flow({ client: who, more: { ...offline, ...more } })) }
    }

    it('gives new tokens of the same sign-in, for the scope that is named or for all of it', async () => {
      expect(suite.metadata['scopes_supported']).toContain('offline_access')
      expect(suite.metadata['grant_types_supported']).toContain('refresh_token')
      for (const fields of [{ scope: offline.scope }, {}]) {
        const { who, tokens } = await signInOffline({ nonce: randomText(43) })
        const { refresh_token: refreshToken } = tokens.body
        expect(refreshToken).toMatch(/^[\x20-\x7e]{22,}$/)
        await pause(1000)
        const grant = { grant_type: 'refresh_token', refresh_token: refreshToken, ...fields }
        const refreshed = await requestTokens(suite, who, grant)
        expectTokens(refreshed)
        expect(refreshed.body.access_token).not.toBe(tokens.body.access_token)
        // CompareIdTokenClaims.
        const [before, after] = [tokens, refreshed].map(({ body }) => decodeJwt(body.id_token))
        for (const name of ['iss', 'sub', 'aud', 'auth_time'])
          expect([name, after?.[name]]).toEqual([name, before?.[name]])
        expect(after?.iat).toBeGreaterThan(before?.iat ?? Number.NaN)
        expect((await askUserinfo(suite, refreshed.body.access_token)).status).toBe(200)
      }
    })

    it('is refused to another client, and stays good for its own', async () => {
      const { who, tokens } = await signInOffline()
      const other = await signInOffline()
      const { refresh_token: refreshToken } = tokens.body
      const grant = { grant_type: 'refresh_token', refresh_token: refreshToken }
      expectTokenError(await requestTokens(suite, other.who, grant), 'invalid_grant')
      expectTokens(await requestTokens(suite, who, grant))
    })
  })

  it('oidcc-ensure-request-with-valid-pkce-succeeds: checks the verifier where there is a challenge', async () => {
    const { verifier, parameters } = pkce()
    await flow({ more: parameters, fields: { code_verifier: verifier } })
    const authorized = await authorize(suite, {
      client,
      person: suite.person(),
      more: { ...inMode, ...parameters },
    })
    expectTokenError(
      await requestTokens(suite, client, codeGrant(client, authorized)),
      'invalid_grant',
      'invalid_request',
    )
  })
}
