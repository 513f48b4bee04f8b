/** Forms as people use them: in two tabs, pressed twice, on the way to a client that leads on elsewhere. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { authorizePath } from '../support/flow.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { startCallback } from './callback.ts'
import { launchChromium, openProfile, type Person } from './chromium.ts'

let chromium: Browser
let home: Home
let server: ServerProcess
let person: Person
let page: Page

beforeAll(async () => {
  chromium = await launchChromium()
  home = await createHome()
  server = await home.start()
})
afterAll(async () => {
  await chromium.close()
  await home.remove()
})
beforeEach(async () => {
  person = await openProfile(chromium)
  page = person.page
})
afterEach(() => person.close())

const value = async (series: string) => (await server.samples()).get(series) ?? 0
const at = (path: string) => `${server.url}${path}`

async function fillIn(on: Page) {
  const { username, password } = home.credentials()
  await on.getByLabel('Username').fill(username)
  await on.getByLabel('Password').fill(password)
}

const button = (name: string, on: Page = page) => on.getByRole('button', { name, exact: true })

async function signIn(on: Page = page) {
  await fillIn(on)
  await button('Sign in', on).click()
}

const requestFor = (redirect_uri: string, more: Record<string, string | undefined> = {}) =>
  at(authorizePath(home.credentials().clientId, { redirect_uri, ...more }))

const refusedByPolicy = () => person.complaints.filter((text) => /form-action/i.test(text))

describe('a client that leads on to another place', () => {
  it.each([
    ['a loopback address', '127.0.0.1', {}],
    ['a fragment', '127.0.0.1', { response_mode: 'fragment' }],
    ['a form', '127.0.0.1', { response_mode: 'form_post' }],
    ['a refusal', '127.0.0.1', { button: 'Don’t allow' }],
  ])('gets its answer by %s, and the browser follows', async (_, host, given) => {
    const { button: pressed = 'Allow', ...more } = given as Record<string, string>
    const callback = await startCallback(host, (landing) => `${landing}/`)
    await page.goto(requestFor(callback.url, more))
    await signIn()
    await button(pressed).click()
    await page.getByText('Landed').waitFor()
    expect(callback.answers).toHaveLength(1)
    expect(refusedByPolicy()).toEqual([])
    await callback.close()
  })

  it('may lead to an app of its own', async () => {
    const callback = await startCallback('127.0.0.1', () => 'exampleapp://done')
    const opened = new Promise<string>((resolve) => {
      page.on('request', (request) => {
        if (request.url().startsWith('exampleapp:')) resolve(request.url())
      })
    })
    await page.goto(requestFor(callback.url))
    await signIn()
    await button('Allow').click()
    expect(await opened).toBe('exampleapp://done')
    expect(callback.answers).toHaveLength(1)
    expect(refusedByPolicy()).toEqual([])
    await callback.close()
  })

  it('is reached from the sign-in page, too, when nobody has to be asked, and by IPv6', async () => {
    const callback = await startCallback('::1', (landing) => `${landing}/`)
    await page.goto(at('/login'))
    await signIn()
    await page.waitForURL(at('/account/devices'))
    await page.goto(at('/admin/clients'))
    await page.getByText('Add a client').click()
    await page.getByLabel('Name', { exact: true }).fill('Desktop agent')
    await page.locator('#redirect_uris').fill(callback.url)
    await button('Add client').click()
    const [clientId = ''] = await page.locator('.copyable code').allTextContents()
    const asked = at(authorizePath(clientId, { redirect_uri: callback.url }))
    await page.goto(asked)
    await button('Allow').click()
    await page.getByText('Landed').waitFor()
    await page.context().clearCookies()
    await page.goto(asked)
    await signIn()
    await page.getByText('Landed').waitFor()
    expect(callback.answers).toHaveLength(2)
    expect(refusedByPolicy()).toEqual([])
    await callback.close()
  })

  it('keeps forms of our pages from leading anywhere else', async () => {
    await page.goto(at('/login'))
    await page.evaluate(`document.forms[0].action = 'http://127.0.0.1:9/steal'`)
    await fillIn(page)
    await button('Sign in').dispatchEvent('click')
    await expect.poll(refusedByPolicy).not.toEqual([])
    expect(page.url()).toBe(at('/login'))
  })
})

describe('two tabs', () => {
  it('each go on with their own request after one sign-in, and what was out of date is shown again', async () => {
    const callback = await startCallback('127.0.0.1', (landing) => `${landing}/`)
    const other = await page.context().newPage()
    const tabs = [page, other] as const
    for (const [n, tab] of tabs.entries())
      await tab.goto(requestFor(callback.url, { state: `tab-${n}` }))
    await signIn(page)
    await button('Allow', page).waitFor()
    await signIn(other)
    await button('Allow', other).waitFor()
    expect(await value('sessions_active')).toBe(await value('sessions_created_total'))

    const third = await page.context().newPage()
    await third.goto(at('/login?switch=1'))
    await signIn(third)
    await third.waitForURL(at('/account/devices'))
    for (const [n, tab] of tabs.entries()) {
      await button('Allow', tab).click()
      await tab.getByText('this page had expired').waitFor()
      await button('Allow', tab).click()
      await tab.getByText('Landed').waitFor()
      expect(callback.answers.at(-1)).toContain(`state=tab-${n}`)
    }
    expect(callback.answers).toHaveLength(2)
    await callback.close()
  })

  it('signed out in one, the other signs in again and comes back to its request', async () => {
    const callback = await startCallback('127.0.0.1', (landing) => `${landing}/`)
    await page.goto(requestFor(callback.url))
    await signIn()
    await button('Allow').waitFor()
    const other = await page.context().newPage()
    await other.goto(at('/account/devices'))
    await button('Sign out', other).click()
    await other.waitForURL(at('/login'))
    await button('Allow').click()
    await signIn()
    await button('Allow').click()
    await page.getByText('Landed').waitFor()
    expect(callback.answers).toHaveLength(1)
    await callback.close()
  })

  it('a sign-in page whose cookies are gone is shown again, filled in', async () => {
    await page.goto(at('/login'))
    await page.context().clearCookies()
    await signIn()
    await page.getByText('this page had expired').waitFor()
    expect(await page.getByLabel('Username').inputValue()).toBe('admin')
    expect(await page.getByLabel('Password').inputValue()).toBe('')
    await signIn()
    await page.waitForURL(at('/account/devices'))
  })

  it('a form of the account leads back to its page, and to it after a sign-in', async () => {
    await page.goto(at('/login'))
    await signIn()
    await page.waitForURL(at('/account/devices'))
    await page.goto(at('/account/security'))
    const other = await page.context().newPage()
    await other.goto(at('/login?switch=1'))
    await signIn(other)
    await other.waitForURL(at('/account/devices'))
    const change = async () => {
      for (const label of ['Current password', 'New password', 'Confirm new password'])
        await page.getByLabel(label, { exact: true }).fill('whatever it is')
      await button('Change password').click()
    }
    await change()
    await page.getByRole('heading', { name: 'This form has expired' }).waitFor()
    await page.getByRole('link', { name: 'Back to the page' }).click()
    await page.waitForURL(at('/account/security'))
    await button('Sign out', other).click()
    await other.waitForURL(at('/login'))
    await change()
    await signIn()
    await page.waitForURL(at('/account/security'))
  })
})

describe('a button that is pressed twice', () => {
  it('signs in once, and answers a request once', async () => {
    const callback = await startCallback('127.0.0.1', (landing) => `${landing}/`)
    const created = await value('sessions_created_total')
    const issued = await value('authgate_authorization_codes_total{event="issued"}')
    await page.goto(requestFor(callback.url))
    await fillIn(page)
    await button('Sign in').dblclick()
    await button('Allow').waitFor()
    expect(await value('sessions_created_total')).toBe(created + 1)
    await button('Allow').dblclick()
    await page.getByText('Landed').waitFor()
    expect(await value('authgate_authorization_codes_total{event="issued"}')).toBe(issued + 1)
    expect(new Set(callback.answers).size).toBe(1)
    await callback.close()
  })
})
