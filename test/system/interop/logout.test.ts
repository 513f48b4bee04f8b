/** Signing out: begun by one client, told to the others. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as openid from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Browser, csrfTokenOf, openBrowser } from '../../support/browser.ts'
import { type Running, register, signIn, startServer } from '../../support/interop.ts'

const signedOut = 'https://app.example.test/signed-out'
let running: Running
beforeAll(async () => {
  running = await startServer()
})
afterAll(() => running?.home.remove())

/** Another browser of the same person, with a session of its own. */
async function anotherBrowser(): Promise<Running> {
  const { username, password } = running.home.credentials()
  const browser = openBrowser(running.server)
  await browser.signIn(username, { password })
  return { ...running, browser }
}

const isSignedIn = async (browser: Browser) =>
  (await browser.get('/account/devices')).status === 200

/** An application that is told, at an address of its own, when its people sign out. */
async function startReceiver() {
  const { promise: received, resolve } = Promise.withResolvers<string>()
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (part: string) => {
      body += part
    })
    request.on('end', () => {
      response.end()
      resolve(new URLSearchParams(body).get('logout_token') ?? '')
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  const close = () => server.close()
  return { uri: `http://127.0.0.1:${port}/logout`, received, close }
}

it('signs out whom a client sends with its ID token, and sends them back', async () => {
  const here = await anotherBrowser()
  const config = await register(here, { post_logout_redirect_uris: [signedOut] })
  const { id_token = '' } = await signIn(here, config)
  const { pathname, search } = openid.buildEndSessionUrl(config, {
    id_token_hint: id_token,
    post_logout_redirect_uri: signedOut,
    state: 'back again',
  })
  const response = await here.browser.get(pathname + search)
  const back = new URL(response.headers.get('location') ?? '')
  expect(back.origin + back.pathname).toBe(signedOut)
  expect(back.searchParams.get('state')).toBe('back again')
  expect(await isSignedIn(here.browser)).toBe(false)
  expect(await isSignedIn(running.browser)).toBe(true)
})

it('asks whom a client sends without proof, and leads to no address that is not registered', async () => {
  const here = await anotherBrowser()
  const config = await register(here, { post_logout_redirect_uris: [signedOut] })
  const elsewhere = { post_logout_redirect_uri: 'https://elsewhere.example.test/' }
  const wrong = openid.buildEndSessionUrl(config, elsewhere)
  expect((await here.browser.get(wrong.pathname + wrong.search)).status).toBe(400)
  const { pathname, search } = openid.buildEndSessionUrl(config, {
    post_logout_redirect_uri: signedOut,
  })
  const question = await here.browser.get(pathname + search)
  expect(question.status).toBe(200)
  expect(await isSignedIn(here.browser)).toBe(true)
  const answer = await here.browser.post('/oauth/logout/answer', {
    csrf_token: csrfTokenOf(await question.text()),
    client_id: config.clientMetadata().client_id,
    post_logout_redirect_uri: signedOut,
    action: 'sign_out',
  })
  expect(answer.headers.get('location')).toBe(signedOut)
  expect(await isSignedIn(here.browser)).toBe(false)
})

it('tells the other clients of the session, with a token that they can verify', async () => {
  const here = await anotherBrowser()
  const receiver = await startReceiver()
  const config = await register(here, {
    backchannel_logout_uri: receiver.uri,
    backchannel_logout_session_required: true,
  })
  const tokens = await signIn(here, config)
  await here.browser.signOut()
  const { jwks_uri = '', issuer } = config.serverMetadata()
  const { payload } = await jwtVerify(
    await receiver.received,
    createRemoteJWKSet(new URL(jwks_uri)),
    { issuer, audience: config.clientMetadata().client_id, typ: 'logout+jwt' },
  )
  receiver.close()
  expect(payload).toMatchObject({
    sub: tokens.claims()?.sub,
    sid: tokens.claims()?.['sid'],
    jti: expect.any(String),
    iat: expect.any(Number),
    exp: expect.any(Number),
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  })
  expect(payload).not.toHaveProperty('nonce')
})
