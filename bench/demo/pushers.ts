/** Apps that bring their requests themselves (RFC 9126), or sign them (RFC 9101). */
import { randomUUID } from 'node:crypto'
import { type CryptoKey, SignJWT } from 'jose'
import type { Answer, Browser } from '../browser.ts'
import {
  allScopes,
  authenticated,
  authorizationPath,
  call,
  createFamily,
  expectError,
  lookUp,
  pkce,
  redeem,
} from './apps.ts'
import { createKey, prove, proven, refused } from './key-holders.ts'
import { asked, keySetOf, publish } from './key-publishers.ts'
import { approve, arrive, deny, protocolError, signOut } from './people.ts'
import { leave, type Registered, registerApp } from './registration.ts'
import type { Scenario } from './scenarios.ts'
import { type App, did, expectThat, nextAddress, type World } from './world.ts'

type Fields = Readonly<Record<string, string | undefined>>

const endpoint = '/oauth/par'

/** Pushes what would stand in the address bar. */
async function push(world: World, more: Fields = {}, dpop?: string): Promise<Answer> {
  const { shop } = world
  const body = new URLSearchParams(authorizationPath(shop, allScopes, more).split('?')[1])
  body.set('client_secret', shop.secret ?? '')
  const headers = { 'x-forwarded-for': nextAddress(), ...(dpop !== undefined && { dpop }) }
  return call(world, endpoint, { method: 'POST', body, headers })
}

/** The path that leads a browser to a request that was pushed. */
function pushed(world: World, answer: Answer): string {
  expectThat(answer.status === 201, `pushing answered ${answer.status}: ${answer.text}`)
  authenticated(world, 'post', 'success')
  did(world, 'authgate_authorization_requests_pushed_total', { event: 'pushed' })
  const { request_uri } = JSON.parse(answer.text) as { request_uri: string }
  const query = new URLSearchParams({ client_id: world.shop.clientId, request_uri })
  return `/oauth/authorize?${query}`
}

const bank: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const family = createFamily(person, world.shop)
  const path = pushed(world, await push(world))
  const code = await approve(world, person, { browser, family, path })
  did(world, 'authgate_authorization_requests_pushed_total', { event: 'visited' })
  await lookUp(world, await redeem(world, family, code))
  await expectPage(world, browser, path)
  await signOut(world, person, browser)
}

/** The request was answered before. */
async function expectPage(world: World, browser: Browser, path: string) {
  const { status } = await browser.get(path)
  expectThat(status === 400, `a used request_uri answered ${status}`)
  protocolError(world, '/oauth/authorize', 'invalid_request_uri')
}

/** Names the key that its code shall be bound to, in several tries; then nobody comes. */
const cautiousBank: Scenario = async (world) => {
  const key = await createKey()
  const request = { path: endpoint, method: 'POST' }
  refused(world, await push(world, {}, 'a.b.c'), { endpoint, result: 'invalid' })
  const first = await push(world, {}, await prove(world, key, request))
  const nonce = refused(world, first, { endpoint, result: 'nonce_missing' })
  pushed(world, await push(world, {}, await prove(world, key, { ...request, nonce })))
  proven(world, 'accepted')
}

const mistakes: readonly (readonly [Fields, string])[] = [
  [{ code_challenge: undefined }, 'invalid_request'],
  [{ response_type: 'token' }, 'unsupported_response_type'],
  [{ scope: 'profile admin' }, 'invalid_scope'],
  [{ resource: 'https://elsewhere.invalid/' }, 'invalid_target'],
  [{ request: 'a.b.c' }, 'invalid_request_object'],
  [{ registration: '{}' }, 'registration_not_supported'],
  [
    { claims: '{"id_token":{"acr":{"essential":true,"value":"retina"}}}' },
    'unmet_authentication_requirements',
  ],
]

const clumsyBank: Scenario = async (world) => {
  for (const [wrong, error] of mistakes) {
    expectError(await push(world, wrong), 400, error)
    authenticated(world, 'post', 'success')
    protocolError(world, endpoint, error)
  }
}

/** Somebody pushes under a name out of thin air, again and again. */
const impostor: Scenario = async (world) => {
  const headers = { 'x-forwarded-for': nextAddress() }
  let limited = 0
  for (let n = 0; n < 125; n += 1) {
    const body = new URLSearchParams({ client_id: randomUUID() })
    const { status } = await call(world, endpoint, { method: 'POST', body, headers })
    authenticated(world, 'none', 'failure')
    if (status === 429) {
      did(world, 'rate_limit_exceeded_total', { endpoint })
      limited += 1
    } else protocolError(world, endpoint, 'invalid_client')
  }
  expectThat(limited > 0, 'a hundred and twenty-five pushes were let through')
}

const sign = (world: World, { client_id }: Registered, key: CryptoKey): Promise<string> =>
  new SignJWT({
    client_id,
    response_type: 'code',
    redirect_uri: signer,
    scope: 'openid',
    ...pkce,
    jti: randomUUID(),
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'oauth-authz-req+jwt' })
    .setIssuer(client_id)
    .setAudience(world.server.origin)
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(key)

const signer = 'https://machine.example.test/callback'

/** Keeps its signed requests on a site of its own, which is not always there. */
const notary: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const { privateKey, publicKey } = await createKey()
  const documents: Record<string, string> = {}
  const site = await publish(documents)
  const app = await registerApp(world, {
    client_name: 'Notary',
    redirect_uris: [signer],
    grant_types: ['authorization_code'],
    jwks: await keySetOf(publicKey),
    request_uris: ['/request', '/nothing', '/silence'].map((path) => site.url + path),
  })
  documents['/request'] = await sign(world, app, privateKey)
  const pathTo = (parameters: Record<string, string>) =>
    `/oauth/authorize?${new URLSearchParams({ client_id: app.client_id, ...parameters })}`
  const sent = await browser.get(pathTo({ request_uri: `${site.url}/request` }))
  expectThat(sent.status === 303, `a request_uri answered ${sent.status}`)
  asked(world, 'success', 'request_object')
  await denySigned(world, browser, app, sent.location)
  for (const [path, result] of [
    ['/nothing', 'failed'],
    ['/silence', 'timeout'],
  ] as const) {
    const { status } = await browser.get(pathTo({ request_uri: site.url + path }))
    expectThat(status === 400, `a lost request_uri answered ${status}`)
    asked(world, result, 'request_object')
    protocolError(world, '/oauth/authorize', 'invalid_request_uri')
  }
  const { status } = await browser.get(pathTo({ request: documents['/request'] }))
  expectThat(status === 400, `a used request object answered ${status}`)
  protocolError(world, '/oauth/authorize', 'invalid_request_object', 'replayed_proof')
  site.close()
  await leave(world, app)
  await signOut(world, person, browser)
}

async function denySigned(world: World, browser: Browser, app: Registered, path: string) {
  const family = { app: { clientId: app.client_id, redirectUri: signer } satisfies App }
  await deny(world, {
    browser,
    family: { ...family, scope: 'openid', access: 0, refresh: 0 },
    path,
  })
}

export const pushers: readonly Scenario[] = [bank, cautiousBank, clumsyBank, impostor, notary]
