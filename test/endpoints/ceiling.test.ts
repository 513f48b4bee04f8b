/** The ceiling over all requests of an address, in a process whose ceiling is low. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { basicAuth } from '../support/client.ts'
import { obtainTokens } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { countAudit, observe } from './refusals.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({
    settings: { ENABLE_RATE_LIMIT: 'true', REQUEST_CEILING: '20', ENDPOINT_CEILING: '30' },
  })
})
afterAll(() => app.close())

let lastAddress = 0
const newAddress = () => {
  lastAddress += 1
  return `198.18.${lastAddress}.1`
}

const statusesOf = async (times: number, path: string, init: RequestInit & { ip: string }) => {
  const statuses: number[] = []
  for (let n = 0; n < times; n += 1) statuses.push((await app.request(path, init)).status)
  return statuses
}
const refused = (statuses: number[]) => statuses.filter((status) => status === 429).length

describe('the ceiling over all requests', () => {
  it.each(['/login', '/oauth/userinfo', '/no/such/page'])('holds for %s', async (path) => {
    const ip = newAddress()
    const { result, moved } = await observe(app, () => statusesOf(25, path, { ip }))
    expect(refused(result)).toBe(5)
    expect(result.at(-1)).toBe(429)
    expect(moved).toMatchObject({
      'rate_limit_exceeded_total{endpoint="any"}': 5,
      'authgate_rate_limit_checks_total{endpoint="any",result="allowed"}': 20,
      'authgate_rate_limit_checks_total{endpoint="any",result="limited"}': 5,
    })
    const answer = await app.request(path, { ip })
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(refused(await statusesOf(5, path, { ip: newAddress() }))).toBe(0)
  })

  it('writes one audit row for an address and minute', async () => {
    const before = await countAudit(app, 'RATE_LIMIT_EXCEEDED')
    await statusesOf(40, '/login', { ip: newAddress() })
    expect(await countAudit(app, 'RATE_LIMIT_EXCEEDED')).toBe(before + 1)
  })

  it('leaves probes, discovery and assets alone', async () => {
    const ip = newAddress()
    await statusesOf(25, '/login', { ip })
    for (const path of ['/livez', '/readyz', '/.well-known/jwks.json'])
      expect(await statusesOf(1, path, { ip })).toEqual([200])
    const page = await (await app.request('/login', { ip: newAddress() })).text()
    const asset = /href="(\/assets\/[^"]+)"/.exec(page)?.[1] ?? ''
    expect(await statusesOf(1, asset, { ip })).toEqual([200])
  })

  it('starts anew after a minute', async () => {
    const ip = newAddress()
    expect(refused(await statusesOf(21, '/login', { ip }))).toBe(1)
    app.advance(61_000)
    expect(refused(await statusesOf(20, '/login', { ip }))).toBe(0)
  })

  it('does not count authenticated clients, which have a limit of their own', async () => {
    const ip = newAddress()
    const { client, secret = '' } = await addClient(app.database.db, { type: 'confidential' })
    const headers = basicAuth(client.clientId, secret)
    const init = { method: 'POST', body: new URLSearchParams({ token: 'x' }), ip }
    const asked = await statusesOf(40, '/oauth/introspect', { ...init, headers })
    expect(asked.every((status) => status === 200)).toBe(true)
  })

  it('counts a valid access token by itself, so that backends may ask for many people', async () => {
    const { client } = await addClient(app.database.db)
    const tokens: string[] = []
    for (let n = 0; n < 2; n += 1) {
      const browser = openBrowser(app, { ip: newAddress() })
      await browser.signIn((await addUser(app.database.db)).username)
      tokens.push((await obtainTokens(app, browser, client.clientId)).access_token)
    }
    const ip = newAddress()
    const ask = (token: string | undefined, times: number) =>
      statusesOf(times, '/oauth/userinfo', { ip, headers: { authorization: `Bearer ${token}` } })
    expect(refused(await ask(tokens[0], 30))).toBe(0)
    expect(refused(await ask(tokens[0], 2))).toBe(2)
    expect(refused(await ask(tokens[1], 30))).toBe(0)
  })
})
