import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { basePathOf, routing, underPath } from '#/web/request/base-path.ts'
import type { AppEnv } from '#/web/request/context.ts'

const at = (path: string, stripped = false) => {
  const app = new Hono<AppEnv>(routing(path, { stripped }))
  app.use(underPath(path))
  app.get('/redirect', (c) => c.redirect(c.req.query('to') ?? '', 303))
  app.get('/page', (c) => c.html(c.req.query('html') ?? ''))
  app.get('/text', (c) => c.text('<a href="/x">'))
  app.get('/cookies', (c) => {
    for (const cookie of ['a=1; Path=/a', 'b=2; Path=/a/login'])
      c.header('set-cookie', cookie, { append: true })
    return c.html('')
  })
  app.all('*', (c) => c.text(c.req.path))
  return app
}

const routeOf = async (address: string, path: string, stripped = false) =>
  (await at(path, stripped).request(address)).text()

describe('the path of BASE_URL', () => {
  it.each([
    ['https://id.test', ''],
    ['https://id.test/', ''],
    ['https://id.test/a', '/a'],
    ['https://id.test/a/b', '/a/b'],
  ])('of %s is "%s"', (baseUrl, path) => expect(basePathOf(baseUrl)).toBe(path))
})

describe('a request', () => {
  it.each([
    ['/a/b/x', '/x'],
    ['/a/b/a/b/x', '/a/b/x'],
    ['/a/b', '/'],
    ['/a/b?c', '/'],
    ['/a/b/', '/'],
    ['/a/bc', '/a/bc'],
    ['/a', '/a'],
    ['/x', '/x'],
    ['/.well-known/openid-configuration/a/b', '/.well-known/openid-configuration'],
    ['/a/b/.well-known/jwks.json', '/.well-known/jwks.json'],
  ])('for %s is for the route %s', async (asked, route) =>
    expect(await routeOf(asked, '/a/b')).toBe(route),
  )

  it.each([
    ['/a/b/x', '/a/b/x'],
    ['/x', '/x'],
    ['/.well-known/openid-configuration/a/b', '/.well-known/openid-configuration'],
  ])('for %s, after a proxy that strips the path, is for the route %s', async (asked, route) =>
    expect(await routeOf(asked, '/a/b', true)).toBe(route),
  )
})

describe('an answer', () => {
  it.each([
    ['/x?y=/z', '/a/x?y=/z'],
    ['https://app.test/x', 'https://app.test/x'],
    ['//app.test/x', '//app.test/x'],
    ['com.example.app:/x', 'com.example.app:/x'],
  ])('that redirects to %s says %s', async (to, location) => {
    const response = await at('/a').request(`/redirect?${new URLSearchParams({ to })}`)
    expect([response.status, response.headers.get('location')]).toEqual([303, location])
  })

  it.each([
    ['<a href="/">', '<a href="/a/">'],
    ['<img alt="" src="/x"><form action="/y">', '<img alt="" src="/a/x"><form action="/a/y">'],
    ['<button\nformaction="/x">', '<button\nformaction="/a/x">'],
    ['<a href="//host/x">', '<a href="//host/x">'],
    ['<a href="https://host/x">', '<a href="https://host/x">'],
    ['<a href="#x"><a href="?x">', '<a href="#x"><a href="?x">'],
    ['<p> href=&quot;/x', '<p> href=&quot;/x'],
    ['<p title=" href=" value="/x">', '<p title=" href=" value="/x">'],
    ['<input value="/x">', '<input value="/x">'],
  ])('whose page has %s has %s', async (html, expected) => {
    const response = await at('/a').request(`/page?${new URLSearchParams({ html })}`)
    expect(await response.text()).toBe(expected)
    expect(response.headers.get('content-type')).toBe('text/html; charset=UTF-8')
  })

  it('that is no page stays as it is', async () => {
    expect(await (await at('/a').request('/text')).text()).toBe('<a href="/x">')
  })

  it('keeps each of its cookies', async () => {
    const response = await at('/a').request('/cookies')
    expect(response.headers.getSetCookie()).toEqual(['a=1; Path=/a', 'b=2; Path=/a/login'])
  })
})
