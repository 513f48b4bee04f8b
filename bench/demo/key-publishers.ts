/** Apps that have keys instead of a secret (RFC 7523): they register themselves, and publish their keys where we ask. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { call, expectError, refreshFields } from './apps.ts'
import { protocolError } from './people.ts'
import { leave, type Registered, registerApp } from './registration.ts'
import type { Scenario } from './scenarios.ts'
import { did, nextAddress, type World } from './world.ts'

const register = (world: World, jwksUri: string) =>
  registerApp(world, {
    client_name: 'Machine',
    redirect_uris: ['https://machine.example.test/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: jwksUri,
  })

const assertFor = (world: World, { client_id }: Registered, key: CryptoKey): Promise<string> =>
  new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(client_id)
    .setSubject(client_id)
    .setAudience(world.server.origin)
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(key)

/** Proves who it is, and asks for what it does not have. */
async function ask(world: World, assertion: string, result: 'success' | 'failure' | 'replayed') {
  const answer = await call(world, '/oauth/token', {
    method: 'POST',
    body: new URLSearchParams({
      ...refreshFields('made-up'),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }),
    headers: { 'x-forwarded-for': nextAddress() },
  })
  const error = result === 'success' ? 'invalid_grant' : 'invalid_client'
  expectError(answer, result === 'success' ? 400 : 401, error)
  did(world, 'authgate_client_authentications_total', {
    method: 'private_key_jwt',
    result: result === 'success' ? result : 'failure',
  })
  if (result === 'success') did(world, 'oauth_tokens_refreshed_total', { result: 'invalid' })
  const kind = result === 'replayed' ? 'replayed_proof' : undefined
  protocolError(world, '/oauth/token', error, kind)
}

/** Notes that the server has asked an address of an app. */
export function asked(
  world: World,
  result: 'success' | 'failed' | 'timeout',
  purpose: 'jwks' | 'request_object' | 'sector_identifier' = 'jwks',
) {
  did(world, 'authgate_outbound_requests_total', { purpose, result })
  did(world, 'authgate_outbound_request_duration_seconds_count', { purpose })
}

/** Publishes documents under their paths, nothing elsewhere, and does not answer at all under /silence. */
export async function publish(documents: Readonly<Record<string, string>>) {
  const server = createServer(({ url = '' }, response) => {
    if (url in documents) response.end(documents[url])
    else if (url !== '/silence') response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** RFC 7517 §5. */
export const keySetOf = async (publicKey: CryptoKey) => ({ keys: [await exportJWK(publicKey)] })

/** Many requests at once, so that all but one wait for the keys to come. */
const machine: Scenario = async (world) => {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const site = await publish({ '/keys': JSON.stringify(await keySetOf(publicKey)) })
  const app = await register(world, `${site.url}/keys`)
  const assertions = await Promise.all(
    Array.from({ length: 5 }, () => assertFor(world, app, privateKey)),
  )
  await Promise.all(assertions.map((assertion) => ask(world, assertion, 'success')))
  asked(world, 'success')
  await ask(world, assertions[0] ?? '', 'replayed')
  await leave(world, app)
  for (const [path, result] of [
    ['/nothing', 'failed'],
    ['/silence', 'timeout'],
  ] as const) {
    const lost = await register(world, site.url + path)
    await ask(world, await assertFor(world, lost, privateKey), 'failure')
    asked(world, result)
    await leave(world, lost)
  }
  site.close()
}

export const keyPublishers: readonly Scenario[] = [machine]
