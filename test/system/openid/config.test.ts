/** The plan `oidcc-config-certification-test-plan`: what discovery and the key set tell. */
import { importJWK } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Suite, startSuite } from '../../support/openid/suite.ts'

let suite: Suite
let configuration: Response
beforeAll(async () => {
  suite = await startSuite()
  configuration = await fetch(`${suite.issuer}/.well-known/openid-configuration`)
})
afterAll(() => suite?.end())

describe('oidcc-discovery-endpoint-verification', () => {
  it('answers JSON, under the name of the issuer', () => {
    expect(configuration.status).toBe(200)
    expect(configuration.headers.get('content-type')).toMatch(/^application\/json/)
    expect(suite.metadata['issuer']).toBe(suite.issuer)
    expect(new URL(suite.issuer).search + new URL(suite.issuer).hash).toBe('')
  })

  it('lists what each field may hold', () => {
    expect(suite.metadata).toMatchObject({
      response_types_supported: ['code'],
      response_modes_supported: expect.arrayContaining(['query', 'form_post']),
      grant_types_supported: expect.arrayContaining(['authorization_code', 'refresh_token']),
      subject_types_supported: expect.arrayContaining(['public', 'pairwise']),
      id_token_signing_alg_values_supported: expect.arrayContaining(['RS256']),
      userinfo_signing_alg_values_supported: expect.arrayContaining(['RS256']),
      scopes_supported: expect.arrayContaining(['openid']),
      claims_supported: expect.arrayContaining(['sub', 'iss', 'auth_time', 'acr']),
      claims_parameter_supported: true,
      token_endpoint_auth_methods_supported: expect.arrayContaining([
        'client_secret_basic',
        'client_secret_post',
        'private_key_jwt',
      ]),
      code_challenge_methods_supported: ['S256'],
    })
    for (const scope of suite.metadata['scopes_supported'] as unknown as string[])
      expect(scope).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/)
  })

  it('names each endpoint below the issuer, so that all are https where the issuer is', () => {
    const endpoints = Object.entries(suite.metadata).filter(([name]) =>
      /_endpoint$|_uri$/.test(name),
    )
    expect(endpoints.map(([name]) => name)).toEqual(
      expect.arrayContaining([
        'authorization_endpoint',
        'token_endpoint',
        'userinfo_endpoint',
        'registration_endpoint',
        'end_session_endpoint',
        'jwks_uri',
      ]),
    )
    for (const [, address] of endpoints) expect(address).toMatch(new RegExp(`^${suite.issuer}/`))
  })

  it('publishes public keys alone, each with a kid of its own and in a form that can be read', async () => {
    const response = await fetch(suite.metadata.jwks_uri)
    expect(response.headers.get('content-type')).toMatch(/^application\/(jwk-set\+)?json/)
    const { keys } = (await response.json()) as { keys: Record<string, string>[] }
    const kids = keys.map(({ kid }) => kid)
    expect(kids.every((kid) => kid !== undefined)).toBe(true)
    expect(new Set(kids).size).toBe(keys.length)
    for (const key of keys) {
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'])
        expect(key).not.toHaveProperty(member)
      for (const member of ['n', 'e', 'x', 'y'])
        expect(key[member] ?? '').toMatch(/^[A-Za-z0-9_-]*$/)
      expect(await importJWK(key)).toBeTruthy()
    }
    expect(keys.map(({ kty, use, alg }) => [kty, use, alg])).toContainEqual(['RSA', 'sig', 'RS256'])
  })

  it('may be read by scripts of any site', async () => {
    const headers = { origin: 'https://suite.example.test' }
    for (const address of [configuration.url, suite.metadata.jwks_uri])
      expect((await fetch(address, { headers })).headers.get('access-control-allow-origin')).toBe(
        '*',
      )
  })
})
