import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import type { AppEnv } from '#/web/request/context.ts'
import { createCookies } from '#/web/sessions/cookies.ts'

const cookie = { name: 'oauth_upstream_x', path: '/auth', shared: true } as const

async function written(options: Parameters<typeof createCookies>[0]) {
  const jar = createCookies(options)
  const app = new Hono<AppEnv>().get('/', (c) => {
    jar.write(c, cookie, 'v', 60)
    return c.body(null)
  })
  return (await app.request('/')).headers.getSetCookie()
}

describe('a cookie', () => {
  it('belongs to the whole host under https, and is written for the release before as well', async () => {
    expect(await written({ secure: true, path: '/' })).toEqual([
      '__Host-oauth_upstream_x=v; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax',
      'oauth_upstream_x=v; Max-Age=60; Path=/auth; HttpOnly; Secure; SameSite=Lax',
    ])
  })

  it('belongs to the path of the server where it has one', async () => {
    expect(await written({ secure: true, path: '/id' })).toEqual([
      '__Secure-oauth_upstream_x=v; Max-Age=60; Path=/id/auth; HttpOnly; Secure; SameSite=Lax',
    ])
  })

  it('keeps its plain name over http', async () => {
    expect(await written({ secure: false, path: '/' })).toEqual([
      'oauth_upstream_x=v; Max-Age=60; Path=/auth; HttpOnly; SameSite=Lax',
    ])
  })
})
