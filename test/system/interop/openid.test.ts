/** OpenID Connect Core beyond the first sign-in: how answers are sent, whom it asks, and what it says about people. */
import { decodeProtectedHeader } from 'jose'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  beginSignIn,
  callback,
  type Running,
  register,
  signIn,
  startServer,
} from '../../support/interop.ts'

let running: Running
let web: openid.Configuration

beforeAll(async () => {
  running = await startServer()
  web = await register(running, {})
  await signIn(running, web)
})
afterAll(() => running?.home.remove())

/** What the browser is given, for a client that this person has approved before. */
async function answered(more: Record<string, string>) {
  const { checks, parameters } = await beginSignIn(more)
  const { pathname, search } = openid.buildAuthorizationUrl(web, parameters)
  return { checks, response: await running.browser.get(pathname + search) }
}

const locationOf = (response: Response) =>
  new URL(response.headers.get('location') ?? 'http://none', running.server.url)

describe('response modes', () => {
  it('fragment: the code comes behind the hash', async () => {
    const { checks, response } = await answered({ response_mode: 'fragment' })
    const back = locationOf(response)
    expect(back.search).toBe('')
    const asQuery = new URL(`${callback}?${back.hash.slice(1)}`)
    const tokens = await openid.authorizationCodeGrant(web, asQuery, checks)
    expect(tokens.claims()?.nonce).toBe(checks.expectedNonce)
  })

  it('form_post: the browser posts the code', async () => {
    const { checks, response } = await answered({ response_mode: 'form_post' })
    const page = await response.text()
    expect(page).toContain(`action="${callback}"`)
    const fields = [...page.matchAll(/name="(\w+)" value="([^"]*)"/g)]
    const body = new URLSearchParams(fields.map(([, name = '', value = '']) => [name, value]))
    const posted = new Request(callback, { method: 'POST', body })
    const tokens = await openid.authorizationCodeGrant(web, posted, checks)
    expect(tokens.claims()?.nonce).toBe(checks.expectedNonce)
  })
})

describe('prompt and max_age', () => {
  it('none: answers at once for whom it knows, login_required for whom it does not', async () => {
    const { checks, response } = await answered({ prompt: 'none' })
    await openid.authorizationCodeGrant(web, locationOf(response), checks)

    const begun = await beginSignIn({ prompt: 'none' })
    const url = openid.buildAuthorizationUrl(web, begun.parameters)
    const stranger = await running.server.request(url.pathname + url.search)
    await expect(
      openid.authorizationCodeGrant(web, locationOf(stranger), begun.checks),
    ).rejects.toMatchObject({ error: 'login_required' })
  })

  it.each([{ prompt: 'login' }, { max_age: '0' }])(
    '%o: the person signs in again, and auth_time says when',
    async (asked) => {
      const { checks, response } = await answered(asked)
      const login = locationOf(response)
      expect(login.pathname).toBe('/login')
      const now = Math.floor(Date.now() / 1000)
      const back = await enterPassword(login)
      const grant = openid.authorizationCodeGrant(web, back, { ...checks, maxAge: 60 })
      expect((await grant).claims()?.auth_time).toBeGreaterThanOrEqual(now)
    },
  )

  /** Fills in the page that the browser was led to, and is led on to the client. */
  async function enterPassword({ pathname, search, searchParams }: URL): Promise<URL> {
    const response = await running.browser.submit(pathname + search, '/login', {
      ...running.home.credentials(),
      redirect: searchParams.get('redirect') ?? '',
    })
    const { pathname: path, search: query } = locationOf(response)
    return locationOf(await running.browser.get(path + query))
  }
})

describe('ID tokens and userinfo', () => {
  it.each(['ES256', 'RS256', 'EdDSA'])(
    'are signed with %s where a client wants it',
    async (alg) => {
      const config = await register(running, {
        id_token_signed_response_alg: alg,
        userinfo_signed_response_alg: alg,
      })
      const tokens = await signIn(running, config)
      expect(decodeProtectedHeader(tokens.id_token ?? '').alg).toBe(alg)
      const subject = tokens.claims()?.sub ?? ''
      expect(await openid.fetchUserInfo(config, tokens.access_token, subject)).toMatchObject({
        name: 'Administrator',
        iss: running.server.url,
        aud: config.clientMetadata().client_id,
      })
    },
  )

  it('hold what the claims parameter asks for', async () => {
    const claims = JSON.stringify({
      id_token: { email: null, auth_time: { essential: true } },
      userinfo: { name: { essential: true } },
    })
    const tokens = await signIn(running, web, { scope: 'openid', claims })
    expect(tokens.claims()).toMatchObject({
      email: 'admin@localhost.invalid',
      auth_time: expect.any(Number),
    })
    const subject = tokens.claims()?.sub ?? ''
    const person = await openid.fetchUserInfo(web, tokens.access_token, subject)
    expect(person).toMatchObject({ name: 'Administrator' })
    expect(person).not.toHaveProperty('email')
  })

  it('name a pairwise client another subject, the same each time', async () => {
    const pairwise = await register(running, { subject_type: 'pairwise' })
    const subjectFor = async (config: openid.Configuration) => {
      const tokens = await signIn(running, config)
      const subject = tokens.claims()?.sub ?? ''
      await openid.fetchUserInfo(config, tokens.access_token, subject)
      return subject
    }
    const subject = await subjectFor(pairwise)
    expect(subject).not.toBe(await subjectFor(web))
    expect(await subjectFor(pairwise)).toBe(subject)
  })
})
