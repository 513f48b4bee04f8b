/** oidc-agent, unmodified, as the public client of the first start. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Browser, openBrowser } from '../support/browser.ts'
import { answerDevice, decide } from '../support/flow.ts'
import { freePort } from '../support/ports.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { type OidcAgent, startOidcAgent } from './oidc-agent.ts'

let home: Home
let server: ServerProcess
let person: Browser
let agent: OidcAgent

beforeAll(async () => {
  home = await createHome()
  server = await home.start()
  agent = await startOidcAgent()
  const { username, password } = home.credentials()
  person = openBrowser(server)
  await person.signIn(username, { password })
})
afterAll(async () => {
  await agent?.stop()
  await home.remove()
})

const client = () => [
  `--issuer=${server.url}`,
  `--client-id=${home.credentials().clientId}`,
  '--client-secret=',
  '--scope=openid profile offline_access',
]

/** Shows it to be of use, and to be renewed when asked. */
async function expectRenewable(account: string) {
  const tokens = [await agent.token(account)]
  for (let renewal = 0; renewal < 3; renewal++)
    tokens.push(await agent.token(account, '--force-new'))
  expect(new Set(tokens).size).toBe(tokens.length)
  expect(await Promise.all(tokens.map(nameOf))).toEqual(tokens.map(() => 'Administrator'))
}

async function nameOf(accessToken: string) {
  const headers = { authorization: `Bearer ${accessToken}` }
  const answer = await server.request('/oauth/userinfo', { headers })
  return ((await answer.json()) as { name?: string }).name
}

it('gets a token by the code flow on the loopback interface, and renews it again and again', async () => {
  const callback = `http://localhost:${await freePort()}/callback`
  const options = [...client(), `--redirect-uri=${callback}`, '--flow=code']
  const setUp = agent.generate('by-code', ...options)
  const back = await decide(person, await setUp.printed(/\/oauth\/authorize\S+/), 'approve')
  expect((await fetch(back.headers.get('location') ?? '')).status).toBe(200)
  expect(await setUp.ended).toMatchObject({ code: 0 })
  await expectRenewable('by-code')
})

it('gets a token by the device flow, and renews it again and again', async () => {
  const setUp = agent.generate('by-device', ...client(), '--flow=device')
  const shown = await setUp.printed(/\b[A-Z]{4}-[A-Z]{4}\b/)
  await answerDevice(person, shown, 'approve')
  expect(await setUp.ended).toMatchObject({ code: 0 })
  await expectRenewable('by-device')
})
