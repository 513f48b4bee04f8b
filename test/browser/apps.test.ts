/** An app is registered by clicking, and let in by an operator in a browser of their own. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { choosePassword, inspect, launchChromium, openProfile, type Person } from './chromium.ts'

let chromium: Browser
let home: Home
let server: ServerProcess
let operator: Person
let owner: Person

beforeAll(async () => {
  chromium = await launchChromium()
  home = await createHome()
  server = await home.start()
  operator = await openProfile(chromium)
  owner = await openProfile(chromium)
})
afterAll(async () => {
  await operator.close()
  await owner.close()
  await home.remove()
  await chromium.close()
})

const at = (path: string) => `${server.url}${path}`
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const follow = (page: Page, name: string) => page.getByRole('link', { name, exact: true }).click()
const headed = (page: Page, name: string) => page.getByRole('heading', { name, level: 1 }).waitFor()

async function signIn({ page }: Person, username: string, password: string) {
  await page.goto(at('/login'))
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password').fill(password)
  await press(page, 'Sign in')
  await page.waitForURL(/\/account\/(devices|password\?)/)
  if (page.url().includes('/account/password')) await choosePassword(page, password)
  await page.waitForURL(at('/account/devices'))
}

async function addUser(username: string): Promise<string> {
  const { page } = operator
  await page.goto(at('/admin/users'))
  await page.getByText('Add a user').click()
  await page.getByLabel('Username', { exact: true }).fill(username)
  await page.getByLabel('Email address', { exact: true }).fill(`${username}@example.test`)
  await press(page, 'Add user')
  return (await page.locator('.copyable code').allTextContents())[1] ?? ''
}

it('a user registers an app, an operator approves it, and it waits again when it changes', async () => {
  await signIn(operator, 'admin', home.credentials().password)
  await signIn(owner, 'ada', await addUser('ada'))
  const { page } = owner
  await follow(page, 'My apps')
  await page.getByText('No apps yet').waitFor()
  await inspect(page, 'apps-none')

  await follow(page, 'Register an app')
  await page.getByLabel('Name').fill('Notebook')
  await page.getByLabel('Description').fill('Keeps notes for everybody.')
  await page.getByLabel('Redirect URIs').fill('http://notes.example.test/callback')
  await press(page, 'Register app')
  await page.getByRole('alert').waitFor()
  await inspect(page, 'apps-new-refused')
  await page.getByLabel('Redirect URIs').fill('https://notes.example.test/callback')
  await press(page, 'Register app')
  await headed(page, 'Credentials for Notebook')
  expect(await page.locator('.copyable code').count()).toBe(2)
  await inspect(page, 'apps-credentials')
  await follow(page, 'Back to the app')
  await headed(page, 'Notebook')
  await page.getByText('An administrator has to approve it').waitFor()
  await inspect(page, 'apps-waiting')

  await operator.page.goto(at('/admin/clients'))
  await operator.page.getByRole('button', { name: 'Approve Notebook' }).click()
  await operator.page.getByText('The client has been approved.').waitFor()
  await follow(operator.page, 'Notebook')
  await headed(operator.page, 'Notebook')
  await inspect(operator.page, 'admin-client')
  await operator.page.getByText('Consents', { exact: true }).locator('..').getByRole('link').click()
  await headed(operator.page, 'Consents for Notebook')
  await inspect(operator.page, 'admin-client-consents-none')
  await page.reload()
  await page.getByText('Approved', { exact: true }).waitFor()
  await inspect(page, 'apps-approved')

  await page.getByText('Manage').click()
  await follow(page, 'Edit app')
  await inspect(page, 'apps-edit')
  await page.getByLabel('Redirect URIs').fill('https://elsewhere.example.test/callback')
  await press(page, 'Save changes')
  await page.getByText('is pending approval again').waitFor()
  await inspect(page, 'apps-returned')

  await page.getByText('Manage').click()
  await page.getByText('Regenerate secret…').click()
  await press(page, 'Regenerate secret')
  await headed(page, 'Credentials for Notebook')
  await follow(page, 'Back to the app')
  await page.getByText('Manage').click()
  await page.getByText('Delete app…').click()
  await press(page, 'Delete app')
  await page.getByText('The app has been deleted.').waitFor()
  await inspect(page, 'apps-deleted')
})
