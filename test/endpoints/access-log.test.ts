/** The access log: one line for each request, with who did what and nothing secret. */
import { afterEach, expect, it } from 'vitest'
import { createLog } from '#/telemetry/log.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { obtainTokens } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'

let app: TestApp | undefined
afterEach(() => app?.close())

/** An app, and what it has logged of requests so far. */
async function startLogging(settings: Record<string, string>) {
  const text: string[] = []
  const log = createLog({ level: 'info', destination: { write: (line) => text.push(line) } })
  app = await startTestApp({ settings, log })
  const lines = () =>
    text
      .map((line): Record<string, unknown> => JSON.parse(line))
      .filter(({ message }) => message === 'request')
  return { app, lines, text }
}

it('tells method, route, status, time, address, trace, client and account, and no query or body', async () => {
  const { app, lines, text } = await startLogging({ ACCESS_LOG: 'json' })
  const { db } = app.database
  const [user, { client }] = [await addUser(db), await addClient(db)]
  const browser = openBrowser(app, { ip: '203.0.113.7' })
  await browser.signIn(user.username)
  const tokens = await obtainTokens(app, browser, client.clientId, { state: 'sealed-state' })
  const authorization = `Bearer ${tokens.access_token}`
  await app.request('/oauth/userinfo', { headers: { authorization } })
  await app.request('/nowhere?password=hunter2')
  const about = (more: object) => expect.objectContaining(more)
  const [who, by] = [{ user: user.id }, { client: client.clientId }]
  expect(lines()).toEqual(
    expect.arrayContaining([
      about({ method: 'GET', route: '/login', status: 200, address: '203.0.113.7' }),
      about({ method: 'POST', route: '/login', status: 303, ...who }),
      about({ method: 'GET', route: '/oauth/authorize', ...who, ...by }),
      about({ method: 'POST', route: '/oauth/token', status: 200, ...by }),
      about({ method: 'GET', route: '/oauth/userinfo', status: 200, ...who, ...by }),
    ]),
  )
  const last = lines().at(-1)
  expect(last).toMatchObject({ level: 'info', method: 'GET', status: 404 })
  expect(last?.['route']).toBeUndefined()
  for (const line of lines()) {
    expect(line['ms']).toBeGreaterThanOrEqual(0)
    expect(line['trace_id']).toMatch(/^[0-9a-f]{32}$/)
  }
  expect(text.join('')).not.toMatch(/hunter2|sealed-state|csrf_token|code_verifier/)
  expect(text.join('')).not.toContain(tokens.access_token)
})

it('leaves probes out', async () => {
  const { app, lines } = await startLogging({ ACCESS_LOG: 'json' })
  for (const path of ['/livez', '/readyz', '/health']) await app.request(path)
  expect(lines()).toEqual([])
})

it('is off unless it is asked for', async () => {
  const { app, lines } = await startLogging({})
  await app.request('/login')
  expect(lines()).toEqual([])
})
