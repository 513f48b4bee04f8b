/** A server below a path of a host that it shares: a person in Chromium never leaves it, whatever the proxy does with the path. */
import * as openid from 'openid-client'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type PathProxy, startPathProxy } from '../support/path-proxy.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { launchChromium, openProfile, type Person } from './chromium.ts'
import { type ExampleClient, startExampleClient } from './example-client.ts'

let chromium: Browser
beforeAll(async () => {
  chromium = await launchChromium()
})
afterAll(() => chromium.close())

describe.each([
  { kind: 'passes the path on', strips: false },
  { kind: 'strips the path', strips: true },
])('in Chromium, behind a proxy that $kind', ({ strips }) => {
  let proxy: PathProxy
  let home: Home
  let server: ServerProcess
  let client: ExampleClient
  let person: Person
  let page: Page

  beforeEach(async () => {
    proxy = await startPathProxy({ strips })
    home = await createHome()
    server = await home.start(proxy.settings)
    client = await startExampleClient()
    person = await openProfile(chromium)
    page = person.page
  })
  afterEach(async () => {
    await person.close()
    await client.close()
    await home.remove()
    await proxy.close()
  })

  const at = (path: string) => `${server.url}${path}`
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click()

  async function signIn() {
    const { username, password } = home.credentials()
    await page.getByLabel('Username').fill(username)
    await page.getByLabel('Password').fill(password)
    await press('Sign in')
  }

  it('sign-in, an app asks, consent, a device, sign-out', async () => {
    await page.goto(server.url)
    expect(page.url()).toContain(at('/login'))
    // The stylesheet has arrived, and applies.
    const font = await page.evaluate('getComputedStyle(document.body).fontFamily')
    expect(font).not.toMatch(/^"?Times/)
    await signIn()
    await page.waitForURL(at('/account/devices'))
    for (const cookie of await page.context().cookies())
      expect(cookie.path).toMatch(/^\/auth(\/|$)/)

    await client.use(server.url, { clientId: home.credentials().clientId })
    await page.goto(client.url)
    await page.getByRole('link', { name: 'Sign in with AuthGate' }).click()
    await page.getByRole('heading', { name: 'AuthGate CLI wants to use your account' }).waitFor()
    await press('Allow')
    await page.getByText('Welcome, admin').waitFor()

    const { clientId } = home.credentials()
    const device = await openid.discovery(new URL(server.url), clientId, undefined, openid.None(), {
      execute: [openid.allowInsecureRequests],
    })
    const asked = await openid.initiateDeviceAuthorization(device, { scope: 'openid' })
    await page.goto(asked.verification_uri_complete ?? '')
    await press('Continue')
    await press('Allow')
    await page.getByRole('heading', { name: 'AuthGate CLI is connected' }).waitFor()
    expect((await openid.pollDeviceAuthorizationGrant(device, asked)).claims()?.iss).toBe(
      server.url,
    )

    await page.getByRole('link', { name: 'Show apps with access' }).click()
    await page.waitForURL(at('/account/authorizations'))
    await page.getByRole('navigation').getByRole('link', { name: 'My apps' }).click()
    await page.waitForURL(at('/apps'))
    await press('Sign out')
    await page.waitForURL(at('/login'))
    await page.goto(at('/account/devices'))
    await signIn()
    await page.waitForURL(at('/account/devices'))
    expect(person.complaints).toEqual([])
    expect(proxy.strayed).toEqual([])
  })
})
