/** What OpenID Connect shows to people: signing in once more, choosing an account, an answer that travels in a form. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { inspect, launchChromium, openProfile, type Person } from './chromium.ts'
import { type ExampleClient, startExampleClient } from './example-client.ts'

let chromium: Browser
let home: Home
let server: ServerProcess
let client: ExampleClient
let person: Person
let page: Page

beforeAll(async () => {
  chromium = await launchChromium()
  home = await createHome()
  server = await home.start({
    ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
    DYNAMIC_CLIENT_REGISTRATION_STATUS: 'active',
  })
})
afterAll(async () => {
  await home.remove()
  await chromium.close()
})

beforeEach(async () => {
  client = await startExampleClient()
  person = await openProfile(chromium)
  page = person.page
})
afterEach(async () => {
  await person.close()
  await client.close()
})

const press = (name: string, on: Page = page) =>
  on.getByRole('button', { name, exact: true }).click()

async function fillSignIn(on: Page = page) {
  const { username, password } = home.credentials()
  await on.getByLabel('Username').fill(username)
  await on.getByLabel('Password').fill(password)
  await press('Sign in', on)
}

let registrations = 0

/** A confidential client that has registered itself. */
async function register(more: object = {}) {
  registrations += 1
  const answer = await fetch(`${server.url}/oauth/register`, {
    method: 'POST',
    body: JSON.stringify({
      client_name: `Example app ${registrations}`,
      application_type: 'native',
      redirect_uris: [client.redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      ...more,
    }),
    headers: { 'content-type': 'application/json' },
  })
  expect(answer.status).toBe(201)
  const { client_id, client_secret } = (await answer.json()) as Record<string, string>
  await client.use(server.url, { clientId: client_id ?? '', secret: client_secret ?? '' })
}

const start = (parameters: Record<string, string> = {}) =>
  page.goto(`${client.url}/start?${new URLSearchParams(parameters)}`)
const welcome = (on: Page = page) => on.getByText('Welcome, admin').waitFor()

const activeSessions = async () => (await server.samples()).get('sessions_active')

/** Signed in, and with the client's consent given. */
async function arrive() {
  await register()
  await start()
  await fillSignIn()
  await press('Allow')
  await welcome()
}

describe('OpenID Connect in Chromium', () => {
  it('an answer by form_post sends itself; without scripts a button does it', async () => {
    await register()
    await start({ response_mode: 'form_post' })
    await fillSignIn()
    await press('Allow')
    await welcome()
    expect(page.url()).toBe(client.redirectUri)
    expect(person.complaints).toEqual([])

    const plain = await openProfile(chromium, { javaScriptEnabled: false })
    await plain.page.goto(`${client.url}/start?response_mode=form_post`)
    await fillSignIn(plain.page)
    await plain.page.getByRole('heading', { name: 'Back to the app' }).waitFor()
    await plain.page.screenshot({ path: 'test/.output/screenshots/form-post.png' })
    await press('Continue', plain.page)
    await welcome(plain.page)
    await plain.close()
  })

  it('a no travels by form_post as well', async () => {
    await register()
    await start({ response_mode: 'form_post' })
    await fillSignIn()
    await press('Don’t allow')
    await page.getByText('Sign-in failed: access_denied').waitFor()
    expect(person.complaints).toEqual([])
  })

  it('an app that listens on the IPv6 loopback address gets its answer', async () => {
    await client.close()
    client = await startExampleClient('::1')
    await register()
    await start()
    await fillSignIn()
    await press('Allow')
    await welcome()
    expect(person.complaints).toEqual([])
  })

  it('prompt=select_account lets the person choose, with one press', async () => {
    await arrive()
    await start({ prompt: 'select_account' })
    await page.getByRole('heading', { name: 'Choose an account' }).waitFor()
    await inspect(page, 'choose-account')
    await press('Continue as admin')
    await welcome()
    await start({ prompt: 'select_account' })
    await page.getByRole('link', { name: 'Use another account' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await fillSignIn()
    await welcome()
    expect(person.complaints).toEqual([])
  })

  it('prompt=login has the person sign in once more, and only once', async () => {
    await arrive()
    const sessions = await activeSessions()
    await start({ prompt: 'login' })
    await page.getByText('sign in again to continue').waitFor()
    expect(await page.getByLabel('Username').inputValue()).toBe('admin')
    await inspect(page, 'login-once-more')
    await page.getByLabel('Password').fill(home.credentials().password)
    await press('Sign in')
    await welcome()
    expect(await activeSessions()).toBe(sessions)
    expect(person.complaints).toEqual([])
  })

  it('the consent page shows what the app says about itself, its logo included', async () => {
    await register({
      redirect_uris: [client.redirectUri, 'https://app.example.test/callback'],
      logo_uri: 'https://app.example.test/logo.svg',
      policy_uri: 'https://app.example.test/privacy',
      tos_uri: 'https://app.example.test/terms',
    })
    const square =
      '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="#c33"/></svg>'
    const asked: (string | undefined)[] = []
    await page.route('https://app.example.test/**', (route) => {
      asked.push(route.request().headers()['referer'])
      return route.fulfill({ contentType: 'image/svg+xml', body: square })
    })
    await start()
    await fillSignIn()
    await page.getByText('wants to use your account').waitFor()
    await page.getByRole('link', { name: 'privacy policy' }).waitFor()
    await page.getByRole('link', { name: 'terms of service' }).waitFor()
    const width = () => page.evaluate('document.querySelector("img.monogram").naturalWidth')
    await expect.poll(width).toBeGreaterThan(0)
    expect(new Set(asked)).toEqual(new Set([undefined]))
    await inspect(page, 'consent-with-logo')
    await press('Allow')
    await welcome()
    expect(person.complaints).toEqual([])
  })
})
