/** A device is let in by clicking: an unmodified client library asks, a person in Chromium answers. */
import * as openid from 'openid-client'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { inspect, launchChromium, openProfile, type Person } from './chromium.ts'

let chromium: Browser
let home: Home
let server: ServerProcess
let device: openid.Configuration
let person: Person
let page: Page

beforeAll(async () => {
  chromium = await launchChromium()
})
afterAll(() => chromium.close())

beforeEach(async () => {
  home = await createHome()
  server = await home.start()
  const { clientId } = home.credentials()
  device = await openid.discovery(new URL(server.url), clientId, undefined, openid.None(), {
    execute: [openid.allowInsecureRequests],
  })
  person = await openProfile(chromium)
  page = person.page
})
afterEach(async () => {
  await person.close()
  await home.remove()
})

const value = async (series: string) => (await server.samples()).get(series)
const press = (name: string, on: Page = page) =>
  on.getByRole('button', { name, exact: true }).click()
const ask = (scope = 'openid profile email offline_access') =>
  openid.initiateDeviceAuthorization(device, { scope })

async function signIn() {
  const { username, password } = home.credentials()
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password').fill(password)
  await press('Sign in')
}

describe('a device in Chromium', () => {
  it('a code is typed, wrong and then right, and the device gets its tokens', async () => {
    const asked = await ask()
    await page.goto(asked.verification_uri)
    await signIn()
    await page.getByRole('heading', { name: 'Connect a device' }).waitFor()
    await inspect(page, 'device-code')
    await page.getByLabel('Code').fill('bcdf ghjk')
    await press('Continue')
    await page.getByText('This code is invalid').waitFor()
    await inspect(page, 'device-code-refused')
    expect(await value('oauth_device_codes_pending_authorization')).toBe(1)

    await page.getByLabel('Code').fill(asked.user_code.toLowerCase().replace('-', ' '))
    await press('Continue')
    await page.getByText(asked.user_code).waitFor()
    await inspect(page, 'device-confirm')
    await press('Allow')
    await page.getByRole('heading', { name: 'AuthGate CLI is connected' }).waitFor()
    await inspect(page, 'device-connected')
    expect(await value('oauth_device_codes_pending_authorization')).toBe(0)
    expect(await value('oauth_device_codes_active')).toBe(1)

    const received = await openid.pollDeviceAuthorizationGrant(device, asked)
    expect(received.claims()).toMatchObject({ amr: ['pwd'] })
    expect(received.refresh_token).toBeTruthy()
    const { sub = '' } = received.claims() ?? {}
    expect(await openid.fetchUserInfo(device, received.access_token, sub)).toMatchObject({
      name: 'Administrator',
    })
    expect(await value('oauth_device_codes_active')).toBe(0)
    expect(await value('oauth_device_codes_authorized_total')).toBe(1)
    expect(await value('authgate_device_codes_ended_total{result="redeemed"}')).toBe(1)
    // Chromium itself reports the wrong code's 400.
    expect(person.complaints).toEqual([expect.stringContaining('a status of 400 ')])
  })

  it('a link fills the code in, the sign-in on the way keeps it, and a no is a no', async () => {
    const asked = await ask('openid read')
    await page.goto(asked.verification_uri_complete ?? '')
    await signIn()
    await page.getByText('your device shows exactly this code').waitFor()
    expect(await page.getByLabel('Code').inputValue()).toBe(asked.user_code)
    await inspect(page, 'device-code-filled-in')
    await press('Continue')
    await page.getByRole('button', { name: 'Allow', exact: true }).waitFor()
    const otherTab = await page.context().newPage()
    await otherTab.goto(asked.verification_uri_complete ?? '')
    await press('Continue', otherTab)
    await otherTab.getByRole('button', { name: 'Allow', exact: true }).waitFor()

    await press('Don’t allow')
    await page.getByRole('heading', { name: 'AuthGate CLI was not connected' }).waitFor()
    await inspect(page, 'device-not-let-in')
    await expect(openid.pollDeviceAuthorizationGrant(device, asked)).rejects.toMatchObject({
      error: 'access_denied',
    })

    await press('Allow', otherTab)
    await otherTab.getByRole('heading', { name: 'This request is no longer valid' }).waitFor()
    await inspect(otherTab, 'device-too-late')
    expect(await value('authgate_device_codes_ended_total{result="denied"}')).toBe(1)
    expect(await value('oauth_device_codes_authorized_total')).toBe(0)
    expect(await value('authgate_consents_active')).toBe(0)
    expect(person.complaints).toEqual([])
  })
})
