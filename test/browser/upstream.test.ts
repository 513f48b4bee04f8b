/** Signing in through identity providers, in a real browser and against a provider that answers over HTTP. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type IdentityProvider, startIdentityProvider } from '../support/identity-provider.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { inspect, launchChromium, openProfile, type Person } from './chromium.ts'

let chromium: Browser
let home: Home
let server: ServerProcess
let upstream: IdentityProvider

beforeAll(async () => {
  upstream = await startIdentityProvider()
  chromium = await launchChromium()
  home = await createHome()
  server = await home.start(upstream.settings)
})
afterAll(async () => {
  await home.remove()
  await chromium.close()
  await upstream.close()
})

const at = (path: string) => `${server.url}${path}`

const ada = { id: 7, username: 'ada-up', email: 'ada-up@example.test', verified: true }

async function enter({ page }: Person, title: string) {
  await page.goto(at('/login'))
  await page.getByRole('link', { name: `Continue with ${title}` }).click()
}

it('makes an account at the first sign-in and shows it its pages', async () => {
  const person = await openProfile(chromium)
  const { page } = person
  upstream.seat(ada)
  await page.goto(at('/login'))
  await inspect(page, 'upstream-sign-in')
  await page.getByRole('link', { name: 'Keep me signed in this way, too' }).click()
  await page.getByText('You will stay signed in').waitFor()
  await page.getByRole('link', { name: 'Continue with GitHub' }).click()
  await page.waitForURL(at('/account/devices'))
  expect(await page.getByText('ada-up').count()).toBeGreaterThan(0)
  const cookies = await page.context().cookies()
  const lasting = cookies.find(({ name }) => name === 'oauth_session')?.expires ?? 0
  expect(lasting).toBeGreaterThan(Date.now() / 1000 + 86_400)
  expect(person.complaints).toEqual([])
  await person.close()
})

it('links another provider from the page of the account, and removes it again', async () => {
  const person = await openProfile(chromium)
  const { page } = person
  upstream.seat(ada)
  await enter(person, 'GitHub')
  await page.waitForURL(at('/account/devices'))
  await page.goto(at('/account/security'))
  upstream.seat({ ...ada, id: 99, username: 'ada-elsewhere', email: 'other@example.test' })
  await page.getByRole('button', { name: 'Link Example ID' }).click()
  await inspect(page, 'upstream-onward')
  await page.getByRole('link', { name: 'Continue to Example ID' }).click()
  await page.waitForURL(at('/account/security?notice=linked'))
  await page.getByText('ada-elsewhere').waitFor()
  await inspect(page, 'upstream-linked')
  const card = page.getByRole('listitem').filter({ hasText: 'ada-elsewhere' })
  await card.getByText('Remove link…').click()
  await card.getByRole('button', { name: 'Remove link' }).click()
  await page.waitForURL(at('/account/security?notice=unlinked'))
  expect(await page.getByText('ada-elsewhere').count()).toBe(0)
  expect(person.complaints).toEqual([])
  await person.close()
})

it('says in our own words that the provider did not allow it, and leads back', async () => {
  const person = await openProfile(chromium)
  const { page } = person
  upstream.seat(undefined)
  await enter(person, 'Gitea')
  await page.getByRole('heading', { name: 'You were not signed in' }).waitFor()
  expect(await page.content()).not.toContain('evil words')
  await inspect(page, 'upstream-refused')
  await page.getByRole('link', { name: 'Back to sign in' }).click()
  await page.getByRole('heading', { name: 'Sign in', exact: true }).waitFor()
  await person.close()
})
