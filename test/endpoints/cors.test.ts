/** Which sites' scripts may call us, and what they may not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
let strict: TestApp
let off: TestApp
beforeAll(async () => {
  app = await startTestApp()
  strict = await startTestApp({
    replicaOf: app,
    settings: { CORS_ALLOWED_ORIGINS: 'https://one.example,https://two.example' },
  })
  off = await startTestApp({ replicaOf: app, settings: { CORS_ENABLED: 'false' } })
})
afterAll(async () => {
  await strict.close()
  await off.close()
  await app.close()
})

const origin = 'https://one.example'

const preflight = (of: TestApp, path: string, from = origin) =>
  of.request(path, {
    method: 'OPTIONS',
    headers: {
      origin: from,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,dpop',
    },
  })

const callable = [
  '/oauth/token',
  '/oauth/userinfo',
  '/.well-known/openid-configuration',
  '/.well-known/jwks.json',
]

describe('scripts of other origins', () => {
  it.each(callable)('may call %s, and are told so before', async (path) => {
    const answer = await preflight(app, path)
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('access-control-allow-headers')).toBe(
      'Authorization,Content-Type,DPoP',
    )
    expect(answer.headers.get('access-control-max-age')).toBe('43200')
    // With credentials allowed, a cookie of ours would count.
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
  })

  it('may read refusals, and the headers that say why', async () => {
    const answer = await app.request('/oauth/token', {
      method: 'POST',
      headers: { origin, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=authorization_code&client_id=nobody',
    })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('access-control-expose-headers')).toMatch(
      /DPoP-Nonce.*WWW-Authenticate/,
    )
    expect(answer.headers.get('cache-control')).toBe('no-store')
  })

  it.each([
    '/',
    '/login',
    '/logout',
    '/oauth/authorize',
    '/oauth/logout',
    '/account/devices',
    '/admin/users',
  ])('may not call %s', async (path) => {
    for (const answer of [
      await preflight(app, path),
      await app.request(path, { headers: { origin } }),
    ])
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
  })

  it('may only be of the origins that are named, if any are', async () => {
    const allowed = await preflight(strict, '/oauth/token')
    expect(allowed.headers.get('access-control-allow-origin')).toBe(origin)
    expect(allowed.headers.get('vary')).toMatch(/Origin/i)
    const other = await preflight(strict, '/oauth/token', 'https://three.example')
    expect(other.headers.get('access-control-allow-origin')).toBeNull()
  })

  it('may not call anything when it is switched off', async () => {
    const answer = await preflight(off, '/oauth/token')
    expect(answer.status).toBe(405)
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
  })

  it('do not hide a wrong method, and are counted under the route', async () => {
    const answer = await app.request('/oauth/token', { headers: { origin } })
    expect(answer.status).toBe(405)
    expect(answer.headers.get('allow')).toBe('POST')
    const options = [...(await app.samples()).keys()].filter((key) =>
      /^http_server_request_duration_seconds_count\{.*OPTIONS/.test(key),
    )
    expect(options.filter((key) => key.includes('http_route="/oauth/token"'))).toHaveLength(1)
  })
})
