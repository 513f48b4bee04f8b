/**
 * The AuthGate project's own command-line clients, request by request: one walks the device flow, one the code flow
 * with a listener on the loopback interface. They know no discovery and no OpenID Connect, only these addresses.
 */
import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '#/protocol/secrets.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { answerDevice, decide } from '../support/flow.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'

let home: Home
let server: ServerProcess
let person: Browser
let client_id: string

beforeAll(async () => {
  home = await createHome()
  server = await home.start()
  const { username, password, clientId } = home.credentials()
  client_id = clientId
  person = openBrowser(server)
  await person.signIn(username, { password })
})
afterAll(() => home.remove())

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
}

/** What Go's net/http sends for them: these headers, in this order, and no others. */
function send(method: 'GET' | 'POST', path: string, more: [string, string][], body = '') {
  const { host, hostname, port } = new URL(server.url)
  const length: [string, string][] =
    method === 'POST' ? [['Content-Length', String(Buffer.byteLength(body))]] : []
  const headers = [
    ['Host', host],
    ['User-Agent', 'Go-http-client/1.1'],
    ...length,
    ...more,
    ['Accept-Encoding', 'gzip'],
  ].flat()
  return new Promise<Answer>((resolve, reject) => {
    const sent = request({ method, hostname, port, path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body: text === '' ? {} : JSON.parse(text) }),
      )
    })
    sent.once('error', reject)
    sent.end(body)
  })
}

/** url.Values.Encode sorts by name. */
const encode = (fields: Record<string, string>) =>
  new URLSearchParams(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))).toString()

const post = (path: string, fields: Record<string, string>) =>
  send('POST', path, [['Content-Type', 'application/x-www-form-urlencoded']], encode(fields))

const tokenInfo = (accessToken: string) =>
  send('GET', '/oauth/tokeninfo', [['Authorization', `Bearer ${accessToken}`]])

/** They check no more than this, but they do check this. */
function expectTokens({ status, body }: Answer) {
  expect({ status, ...body }).toMatchObject({
    status: 200,
    access_token: expect.stringMatching(/^.{10,}$/),
    refresh_token: expect.stringMatching(/./),
    token_type: 'Bearer',
    expires_in: expect.any(Number),
    scope: 'read write',
  })
  expect(body['expires_in']).toBeGreaterThan(0)
  return { access: String(body['access_token']), refresh: String(body['refresh_token']) }
}

const renew = (refresh_token: string) =>
  post('/oauth/token', { grant_type: 'refresh_token', refresh_token, client_id })

/** What both do with their tokens. */
async function useAndRenew(tokens: { access: string; refresh: string }) {
  expect(await tokenInfo(tokens.access)).toMatchObject({
    status: 200,
    body: { active: true, client_id, scope: 'read write', subject_type: 'user' },
  })
  await post('/oauth/revoke', { token: tokens.access, token_type_hint: 'access_token', client_id })
  expect(await tokenInfo(tokens.access)).toMatchObject({
    status: 401,
    body: { error: 'invalid_token' },
  })
  const renewed = expectTokens(await renew(tokens.refresh))
  expect((await tokenInfo(renewed.access)).status).toBe(200)
  await post('/oauth/revoke', { token: renewed.refresh, client_id })
  expect(await renew(renewed.refresh)).toMatchObject({
    status: 400,
    body: { error: 'invalid_grant' },
  })
  expect((await tokenInfo(renewed.access)).status).toBe(401)
}

describe('the code-flow client', () => {
  const redirect_uri = 'http://localhost:8888/callback'
  const start = (state: string, verifier: string) =>
    `/oauth/authorize?${encode({
      client_id,
      redirect_uri,
      response_type: 'code',
      scope: 'read write',
      state,
      code_challenge: sha256(verifier),
      code_challenge_method: 'S256',
    })}`
  const arrive = (response: Response) => {
    const back = new URL(response.headers.get('location') ?? 'http://none')
    expect(back.origin + back.pathname).toBe(redirect_uri)
    return back.searchParams
  }

  it('gets tokens on the loopback interface with PKCE and no secret, uses and renews them', async () => {
    const state = randomBytes(16).toString('base64url')
    const code_verifier = randomBytes(32).toString('base64url')
    const back = arrive(await decide(person, start(state, code_verifier), 'approve'))
    expect(back.get('state')).toBe(state)
    const code = back.get('code') ?? ''
    const grant = { grant_type: 'authorization_code', code, redirect_uri, client_id, code_verifier }
    await useAndRenew(expectTokens(await post('/oauth/token', grant)))
  })

  it('is told when the person says no', async () => {
    const back = arrive(await decide(person, start('s', 'v'.repeat(43)), 'deny'))
    expect(Object.fromEntries(back)).toMatchObject({ error: 'access_denied', state: 's' })
  })
})

describe('the device-flow client', () => {
  const begin = async () => {
    const { status, body } = await post('/oauth/device/code', { client_id, scope: 'read write' })
    expect({ status, ...body }).toMatchObject({
      status: 200,
      device_code: expect.any(String),
      user_code: expect.any(String),
      verification_uri: `${server.url}/device`,
      verification_uri_complete: `${server.url}/device?user_code=${body['user_code']}`,
      expires_in: expect.any(Number),
      interval: 5,
    })
    const [device_code, user_code] = [String(body['device_code']), String(body['user_code'])]
    const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
    const poll = () => post('/oauth/token', { grant_type, device_code, client_id })
    return { user_code, poll }
  }
  const refused = (error: string) => ({ status: 400, body: { error } })

  it('asks every 5 seconds, is told to wait, and gets its tokens when the person has said yes', async () => {
    const { user_code, poll } = await begin()
    for (const _ of [1, 2]) {
      await wait(5000)
      expect(await poll()).toMatchObject(refused('authorization_pending'))
    }
    await answerDevice(person, user_code, 'approve')
    await wait(5000)
    await useAndRenew(expectTokens(await poll()))
    expect(await poll()).toMatchObject(refused('invalid_grant'))
  })

  it('is told to slow down, and when the person says no', async () => {
    const { user_code, poll } = await begin()
    await poll()
    expect(await poll()).toMatchObject(refused('slow_down'))
    await answerDevice(person, user_code, 'deny')
    expect(await poll()).toMatchObject(refused('access_denied'))
  })
})
