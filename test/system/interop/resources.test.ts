/** Tokens for APIs: whom they are for, what they allow there, and how an API acts on for its caller. */
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { callback, onLoopback, type Running, signIn, startServer } from '../../support/interop.ts'
import { createConfidentialClient } from '../admin.ts'

const reports = 'https://reports.example.test/'
const archive = 'https://archive.example.test/'

let running: Running
let web: openid.Configuration
let machine: openid.Configuration
let reportsApi: openid.Configuration

beforeAll(async () => {
  running = await startServer()
  const made = async (more: Record<string, string>) => {
    const { clientId, secret } = await createConfidentialClient(running.browser, callback, more)
    return openid.discovery(new URL(running.server.url), clientId, secret, undefined, onLoopback)
  }
  const allowed_resources = `${reports} ${archive}`
  const scope = 'openid profile reports.read reports.write'
  web = await made({ scope, allowed_resources })
  machine = await made({ scope, allowed_resources, grant_types: 'client_credentials' })
  reportsApi = await made({
    served_resources: reports,
    allowed_resources: archive,
    scope: 'reports.read',
    grant_types: 'client_credentials urn:ietf:params:oauth:grant-type:token-exchange',
  })
})
afterAll(() => running?.home.remove())

/** What the API itself does with a bearer token: oauth4webapi verifies it against the key set (RFC 9068 §4). */
function accept(accessToken: string, audience: string) {
  const headers = { authorization: `Bearer ${accessToken}` }
  const insecure = { [oauth.allowInsecureRequests]: true }
  const request = new Request(audience, { headers })
  return oauth.validateJwtAccessToken(web.serverMetadata(), request, audience, insecure)
}

it('a token of a sign-in is for the API that was asked for, and for no other', async () => {
  const scope = 'openid reports.read'
  const { access_token, refresh_token } = await signIn(running, web, { scope, resource: reports })
  expect(await accept(access_token, reports)).toMatchObject({
    iss: running.server.url,
    client_id: web.clientMetadata().client_id,
    scope,
  })
  await expect(accept(access_token, archive)).rejects.toThrow()
  expect(refresh_token).toBeUndefined()
})

it('a machine asks for an API, and for less than it may', async () => {
  const parameters = { resource: reports, scope: 'reports.read' }
  const { access_token } = await openid.clientCredentialsGrant(machine, parameters)
  const { client_id } = machine.clientMetadata()
  expect(await accept(access_token, reports)).toMatchObject({
    sub: client_id,
    client_id,
    scope: 'reports.read',
  })
  const elsewhere = { resource: 'https://elsewhere.example.test/' }
  await expect(openid.clientCredentialsGrant(machine, elsewhere)).rejects.toMatchObject({
    error: 'invalid_target',
  })
})

it('an API may introspect the tokens that are for it', async () => {
  const forReports = await openid.clientCredentialsGrant(machine, { resource: reports })
  expect(await openid.tokenIntrospection(reportsApi, forReports.access_token)).toMatchObject({
    active: true,
    aud: reports,
  })
  const forArchive = await openid.clientCredentialsGrant(machine, { resource: archive })
  expect(await openid.tokenIntrospection(reportsApi, forArchive.access_token)).toEqual({
    active: false,
  })
})

it('an API acts on for whoever called it, in its own name', async () => {
  const asked = { scope: 'openid reports.read reports.write', resource: reports }
  const tokens = await signIn(running, web, asked)
  const as = web.serverMetadata()
  const { client_id, client_secret } = reportsApi.clientMetadata()
  const client = { client_id }
  const exchange = (subject_token: string, more: Record<string, string> = {}) =>
    oauth.genericTokenEndpointRequest(
      as,
      client,
      oauth.ClientSecretBasic(String(client_secret)),
      'urn:ietf:params:oauth:grant-type:token-exchange',
      {
        subject_token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        ...more,
      },
      { [oauth.allowInsecureRequests]: true },
    )
  const process = (response: Response) =>
    oauth.processGenericTokenEndpointResponse(as, client, response)

  const next = await process(await exchange(tokens.access_token, { resource: archive }))
  expect(next).toEqual({
    access_token: expect.any(String),
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'bearer',
    expires_in: expect.any(Number),
    scope: 'reports.read',
  })
  expect(await accept(next.access_token, archive)).toMatchObject({
    sub: tokens.claims()?.sub,
    client_id,
    act: { sub: client_id },
  })
  await expect(
    process(await exchange(tokens.access_token, { scope: 'reports.write' })),
  ).rejects.toMatchObject({ error: 'invalid_scope' })
  // What is for the archive is none of this API's business.
  const own = await openid.clientCredentialsGrant(machine, { resource: archive })
  await expect(process(await exchange(own.access_token))).rejects.toMatchObject({
    error: 'invalid_request',
  })
})
