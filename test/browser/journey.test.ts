/** What a newcomer and the people they serve do, by clicking; each step is checked against the scrape. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { choosePassword, inspect, launchChromium, openProfile, type Person } from './chromium.ts'
import { type ExampleClient, startExampleClient } from './example-client.ts'

let chromium: Browser
let home: Home
let server: ServerProcess
let client: ExampleClient
let person: Person
let page: Page

beforeAll(async () => {
  chromium = await launchChromium()
})
afterAll(() => chromium.close())

beforeEach(async () => {
  home = await createHome()
  server = await home.start()
  client = await startExampleClient()
  person = await openProfile(chromium)
  page = person.page
})
afterEach(async () => {
  await person.close()
  await client.close()
  await home.remove()
})

async function fillSignIn(on: Page, password = home.credentials().password) {
  await on.getByLabel('Username').fill('admin')
  await on.getByLabel('Password').fill(password)
  await on.getByRole('button', { name: 'Sign in' }).click()
}

const value = async (series: string) => (await server.samples()).get(series)
const at = (path: string) => `${server.url}${path}`
const follow = (text: string) =>
  page.getByRole('navigation').getByRole('link', { name: text }).click()
const press = (name: string, on: Page = page) =>
  on.getByRole('button', { name, exact: true }).click()

/** A confidential client, made by an administrator on the page for it. */
async function registerClient() {
  await page.goto(at('/admin/clients'))
  await page.getByText('Add a client').click()
  await page.getByLabel('Name', { exact: true }).fill('Example app')
  await page.locator('#redirect_uris').fill(client.redirectUri)
  await press('Add client')
  const [clientId = '', secret = ''] = await page.locator('.copyable code').allTextContents()
  await client.use(server.url, { clientId, secret })
}

describe('in Chromium', () => {
  it('first start, sign-in, an app asks, consent, tokens, devices, sign-out', async () => {
    await page.goto(at('/'))
    expect(page.url()).toContain(at('/login'))
    await inspect(page, 'login')
    await fillSignIn(page)
    await page.waitForURL(at('/account/devices'))
    expect(await value('sessions_active')).toBe(1)
    expect(await page.getByText('This device').isVisible()).toBe(true)

    await client.use(server.url, { clientId: home.credentials().clientId })
    await page.goto(client.url)
    await page.getByRole('link', { name: 'Sign in with AuthGate' }).click()
    await page.getByRole('heading', { name: 'AuthGate CLI wants to use your account' }).waitFor()
    await inspect(page, 'consent')
    await press('Allow')
    await page.getByText('Welcome, admin').waitFor()
    expect(client.lastTokens()).toMatchObject({ token_type: 'bearer', expires_in: 3600 })
    expect(await value('oauth_consent_granted_total{flow="authorization_code"}')).toBe(1)
    expect(await value('oauth_tokens_active{token_type="refresh"}')).toBe(1)

    await page.goto(at('/account/devices'))
    await inspect(page, 'devices')
    await follow('Apps with access')
    await inspect(page, 'authorizations')
    await page.getByRole('link', { name: 'See connected apps' }).click()
    await page.getByRole('heading', { name: 'AuthGate CLI' }).waitFor()
    await inspect(page, 'tokens')
    await follow('Security')
    await inspect(page, 'security')

    await press('Sign out')
    await page.waitForURL(at('/login'))
    expect(await value('sessions_active')).toBe(0)
    expect(await value('sessions_expired_total{reason="logout"}')).toBe(1)
    await page.goto(at('/account/devices'))
    expect(new URL(page.url()).pathname).toBe('/login')
    expect(person.complaints).toEqual([])
  })

  it('from the app through the sign-in and the consent, and straight back the next time', async () => {
    await page.goto(at('/login'))
    await fillSignIn(page)
    await page.waitForURL(at('/account/devices'))
    await registerClient()
    await inspect(page, 'admin-client-secret')
    await press('Sign out')
    await page.waitForURL(at('/login'))

    await page.goto(`${client.url}/start`)
    await page.getByText('to continue to Example app').waitFor()
    await inspect(page, 'login-for-an-app')
    await fillSignIn(page)
    await press('Allow')
    await page.getByText('Welcome, admin').waitFor()

    await page.goto(at('/account/devices'))
    await press('Sign out')
    await page.waitForURL(at('/login'))
    await page.goto(`${client.url}/start`)
    // The form's redirects lead over /oauth/authorize to another origin: the CSP must let the browser go all the way.
    await fillSignIn(page)
    await page.waitForURL(/\/callback\?/)
    await page.getByText('Welcome, admin').waitFor()
    expect(await value('authgate_consent_decisions_total{decision="remembered"}')).toBe(1)
    expect(await value('sessions_active')).toBe(1)
    expect(person.complaints).toEqual([])
  })

  it('a no goes back to the app as a no, and nothing is granted', async () => {
    await client.use(server.url, { clientId: home.credentials().clientId })
    await page.goto(`${client.url}/start`)
    await fillSignIn(page)
    await press('Don’t allow')
    await page.getByText('Sign-in failed: access_denied').waitFor()
    expect(client.lastTokens()).toBeUndefined()
    expect(await value('authgate_consent_decisions_total{decision="denied"}')).toBe(1)
    expect(await value('authgate_consents_active')).toBe(0)
    expect(await value('authgate_authorization_codes_total{event="issued"}')).toBe(0)
    expect(person.complaints).toEqual([])
  })

  it('access taken back and devices signed out take effect at once', async () => {
    await client.use(server.url, { clientId: home.credentials().clientId })
    await page.goto(`${client.url}/start`)
    await fillSignIn(page)
    await press('Allow')
    await page.getByText('Welcome, admin').waitFor()
    const laptop = await openProfile(chromium)
    await laptop.page.goto(at('/login'))
    await fillSignIn(laptop.page)
    await laptop.page.waitForURL(at('/account/devices'))
    expect(await value('sessions_active')).toBe(2)

    await page.goto(at('/account/devices'))
    await inspect(page, 'devices-two')
    await page.locator('summary', { hasText: 'Sign out everywhere else' }).click()
    await press('Sign out everywhere else')
    await page.getByText('All other devices have been signed out.').waitFor()
    expect(await value('sessions_active')).toBe(1)
    expect(await value('sessions_expired_total{reason="revoked"}')).toBe(1)
    await laptop.page.reload()
    expect(new URL(laptop.page.url()).pathname).toBe('/login')
    await laptop.close()

    await follow('Apps with access')
    await page.getByText('Revoke access', { exact: false }).first().click()
    await press('Revoke access')
    await page.getByText('The app’s access has been revoked.').waitFor()
    await inspect(page, 'authorizations-empty')
    expect(await value('authgate_consents_active')).toBe(0)
    expect(await value('oauth_tokens_active{token_type="access"}')).toBe(0)
    expect(await value('oauth_tokens_active{token_type="refresh"}')).toBe(0)
    expect(person.complaints).toEqual([])
  })

  it('sign-in and sign-out need no mouse', async () => {
    await page.goto(at('/login'))
    const { username, password } = home.credentials()
    // The first field takes the focus by itself, once the page is drawn.
    await page.locator('[name=username]:focus').waitFor()
    await page.keyboard.type(username)
    await page.keyboard.press('Tab')
    await page.keyboard.type(password)
    await page.keyboard.press('Enter')
    await page.waitForURL(at('/account/devices'))
    expect(await value('sessions_active')).toBe(1)

    const focused = async () => page.locator(':focus').textContent()
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('Skip to content')
    for (let n = 0; n < 5 && (await focused()) !== 'Sign out'; n += 1)
      await page.keyboard.press('Tab')
    expect(await focused()).toBe('Sign out')
    await page.keyboard.press('Enter')
    await page.waitForURL(at('/login'))
    expect(await value('sessions_active')).toBe(0)
    expect(person.complaints).toEqual([])
  })

  it('an administrator makes an account, hands over its password, disables it and deletes it', async () => {
    await page.goto(at('/login'))
    await fillSignIn(page)
    await follow('Users')
    await page.getByText('Add a user').click()
    await page.getByLabel('Username', { exact: true }).fill('grace')
    await page.getByLabel('Email address', { exact: true }).fill('grace@example.test')
    await inspect(page, 'admin-users-form')
    await press('Add user')
    await page.getByRole('heading', { name: 'Password for grace' }).waitFor()
    await inspect(page, 'admin-user-password')
    const [, password = ''] = await page.locator('.copyable code').allTextContents()

    const grace = await openProfile(chromium)
    await grace.page.goto(at('/login'))
    await grace.page.getByLabel('Username').fill('grace')
    await grace.page.getByLabel('Password').fill(password)
    await press('Sign in', grace.page)
    await grace.page.waitForURL(at('/account/password?redirect=%2Faccount%2Fdevices'))
    await inspect(grace.page, 'first-password')
    await choosePassword(grace.page, password)
    await grace.page.waitForURL(at('/account/devices'))
    expect(await value('sessions_active')).toBe(2)

    await follow('Users')
    await inspect(page, 'admin-users')
    await page.getByRole('link', { name: 'grace', exact: true }).click()
    await page.getByRole('heading', { name: 'Active tokens' }).waitFor()
    await inspect(page, 'admin-user')
    await page.getByRole('link', { name: 'Edit', exact: true }).click()
    await inspect(page, 'admin-user-edit')
    await page.getByLabel('Full name').fill('Grace Hopper')
    await press('Save')
    await page.getByText('The user has been updated.').waitFor()
    await follow('Users')
    await page.getByText(/Manage\s*grace/).click()
    await press('Disable user')
    await page.getByText('The user has been disabled.').waitFor()
    expect(await value('sessions_active')).toBe(1)
    expect(await value('authgate_users_active{auth_source="local"}')).toBe(1)
    await grace.page.reload()
    expect(new URL(grace.page.url()).pathname).toBe('/login')
    await grace.close()

    await page.getByText(/Manage\s*grace/).click()
    await page.getByText('Delete user…').click()
    await press('Delete user')
    await page.getByText('The user has been deleted.').waitFor()
    expect(await value('authgate_users_registered')).toBe(1)
    await follow('Clients')
    await inspect(page, 'admin-clients')
    expect(person.complaints).toEqual([])
  })

  it('an app registers itself; an administrator looks, approves one and rejects another', async () => {
    await server.stop()
    server = await home.start({ ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true' })
    const register = (client_name: string) =>
      server.request('/oauth/register', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ client_name, redirect_uris: [client.redirectUri] }),
      })
    for (const name of ['Field Notes', 'Your bank']) expect((await register(name)).status).toBe(201)
    await page.goto(at('/login'))
    await fillSignIn(page)
    await follow('Clients')
    await page.getByRole('heading', { name: 'Pending approval' }).waitFor()
    await page.getByText('All settings of Field Notes').click()
    await inspect(page, 'admin-clients-waiting')
    await press('Approve Field Notes')
    await page.getByText('The client has been approved.').waitFor()
    await press('Reject Your bank')
    await page.getByText('The client has been rejected.').waitFor()
    expect(await page.getByText('Pending approval').count()).toBe(0)
    const samples = await server.samples()
    for (const status of ['active', 'inactive', 'pending'])
      expect(samples.get(`authgate_oauth_clients_registered{status="${status}"}`), status).toBe(
        { active: 2, inactive: 1, pending: 0 }[status],
      )
    expect(person.complaints).toEqual([])
  })

  it('a client with all its folds open, and the form that was refused', async () => {
    await page.goto(at('/login'))
    await fillSignIn(page)
    await follow('Clients')
    await page.getByText('Add a client').click()
    for (const title of ['Keys and signatures', 'Tokens and resources', 'Users and sign-out'])
      await page.getByText(title).click()
    await inspect(page, 'admin-client-form')
    await page.getByLabel('Name', { exact: true }).fill('Shop')
    await page.locator('#redirect_uris').fill('http://shop.example.test/')
    await press('Add client')
    await page.getByText(/^Redirect URIs must be https/).waitFor()
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).toBe('Shop')
    await inspect(page, 'admin-client-refused')
  })

  it('what goes wrong is said on a page of its own', async () => {
    await page.goto(at('/login'))
    await fillSignIn(page, 'not the password')
    await page.getByText('Incorrect username or password.').waitFor()
    await inspect(page, 'login-refused')
    await page.goto(at('/no/such/page'))
    await inspect(page, 'error-not-found')
    await page.goto(at('/oauth/authorize?client_id=nobody&redirect_uri=https%3A%2F%2Fevil.example'))
    await inspect(page, 'error-authorize')
    expect(new URL(page.url()).origin).toBe(server.url)
    expect(await value('authgate_login_failures_total{reason="wrong_password"}')).toBe(1)
    // Chromium reports these three answers themselves; nothing else.
    expect(person.complaints).toEqual(
      [401, 404, 400].map((status) => expect.stringContaining(`a status of ${status} `)),
    )
  })
})

describe('without JavaScript', () => {
  it('all of it works the same', async () => {
    const plain = await openProfile(chromium, { javaScriptEnabled: false })
    await client.use(server.url, { clientId: home.credentials().clientId })
    await plain.page.goto(client.url)
    await plain.page.getByRole('link', { name: 'Sign in with AuthGate' }).click()
    await fillSignIn(plain.page)
    await press('Allow', plain.page)
    await plain.page.getByText('Welcome, admin').waitFor()
    expect(await value('sessions_active')).toBe(1)

    await plain.page.goto(at('/account/authorizations'))
    await plain.page.getByText('Revoke access', { exact: false }).first().click()
    await press('Revoke access', plain.page)
    await plain.page.getByText('The app’s access has been revoked.').waitFor()
    expect(await value('authgate_consents_active')).toBe(0)
    await press('Sign out', plain.page)
    await plain.page.waitForURL(at('/login'))
    expect(await value('sessions_active')).toBe(0)
    expect(await value('auth_logout_total')).toBe(1)
    expect(plain.complaints).toEqual([])
    await plain.close()
  })
})
