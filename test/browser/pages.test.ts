/** Every page of the app, seen by axe and by a camera; the table below names them all. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'
import { choosePassword, inspect, launchChromium, openProfile, type Person } from './chromium.ts'

let chromium: Browser
let home: Home
let server: ServerProcess
let admin: Person

beforeAll(async () => {
  chromium = await launchChromium()
  home = await createHome()
  server = await home.start()
  admin = await openProfile(chromium)
  await signIn(admin, 'admin', home.credentials().password)
})
afterAll(async () => {
  await admin.close()
  await home.remove()
  await chromium.close()
})

const at = (path: string) => `${server.url}${path}`

async function signIn({ page }: Person, username: string, password: string) {
  await page.goto(at('/login'))
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.waitForURL(/\/account\/(devices|password\?)/)
  if (page.url().includes('/account/password')) await choosePassword(page, password)
  await page.waitForURL(at('/account/devices'))
}

/** An account with names as long as they may be, and a person signed in with it. */
async function addUser(username: string): Promise<Person> {
  const { page } = admin
  await page.goto(at('/admin/users'))
  await page.getByText('Add a user').click()
  await page.getByLabel('Username', { exact: true }).fill(username)
  await page.getByLabel('Email address', { exact: true }).fill(`${username}@example.test`)
  await page.getByRole('button', { name: 'Add user', exact: true }).click()
  const [, password = ''] = await page.locator('.copyable code').allTextContents()
  const person = await openProfile(chromium)
  await signIn(person, username, password)
  return person
}

/** `page`: looked at here; `elsewhere`: leads on, or shows a page that a journey inspects; `no page`: for programs. */
const routes: Readonly<Record<string, 'page' | 'elsewhere' | 'no page'>> = {
  '/': 'elsewhere',
  '/.well-known/jwks.json': 'no page',
  '/.well-known/oauth-authorization-server': 'no page',
  '/.well-known/openid-configuration': 'no page',
  '/.well-known/security.txt': 'no page',
  '/account/authorizations': 'page',
  '/account/devices': 'page',
  '/account/password': 'elsewhere',
  '/account/security': 'page',
  '/account/sessions': 'elsewhere',
  '/account/tokens': 'page',
  '/admin': 'page',
  '/admin/audit': 'page',
  '/admin/audit/api': 'no page',
  '/admin/audit/api/stats': 'no page',
  '/admin/audit/export': 'no page',
  '/admin/clients': 'page',
  '/admin/clients/:id': 'page',
  '/admin/clients/:id/authorizations': 'elsewhere',
  '/admin/clients/:id/edit': 'page',
  '/admin/tokens': 'page',
  '/admin/users/:id': 'elsewhere',
  '/admin/users/:id/edit': 'elsewhere',
  '/admin/users': 'page',
  '/apps': 'page',
  '/apps/:id': 'elsewhere',
  '/apps/:id/edit': 'elsewhere',
  '/apps/new': 'page',
  '/auth/callback/:provider': 'elsewhere',
  '/auth/login/:provider': 'elsewhere',
  '/device': 'page',
  '/health': 'no page',
  '/livez': 'no page',
  '/login': 'elsewhere',
  '/oauth/authorize': 'elsewhere',
  '/oauth/logout': 'elsewhere',
  '/oauth/register/:clientId': 'no page',
  '/oauth/tokeninfo': 'no page',
  '/readyz': 'no page',
}

const pages = Object.keys(routes).filter((path) => routes[path] === 'page')

describe('the table of pages', () => {
  it('names every route that answers GET, so that no page can be forgotten', () => {
    const root = fileURLToPath(new URL('../../src', import.meta.url))
    const sources = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /(routes|app)\.ts$/.test(file),
    )
    const found = sources.flatMap((file) =>
      [...readFileSync(`${root}/${file}`, 'utf8').matchAll(/\.get\(\s*'(\/[^']*)'/g)].map(
        ([, path = '']) => path,
      ),
    )
    expect([...new Set(found)].sort()).toEqual(Object.keys(routes).sort())
  })
})

/** What is about one thing is found as people find it: by a link of the list. */
async function addressOf(route: string): Promise<string> {
  const [list = '', rest] = route.split('/:id')
  if (rest === undefined) return route
  await admin.page.goto(at(list))
  const id = '/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
  const links = await admin.page.locator(`a[href^="${list}/"]`).all()
  const addresses = await Promise.all(links.map((link) => link.getAttribute('href')))
  return addresses.find((href) => href?.match(`^${list}${id}${rest}$`)) ?? ''
}

describe('every page', () => {
  it.each(pages)('%s has no barrier', async (route) => {
    const path = await addressOf(route)
    const answer = await admin.page.goto(at(path))
    expect([answer?.status(), new URL(admin.page.url()).pathname]).toEqual([200, path])
    await inspect(admin.page, `page${route.replace(':', '').replaceAll('/', '-')}`)
  })
})

describe('navigation', () => {
  const links = async ({ page }: Person) => {
    await page.goto(at('/account/devices'))
    const found = await page.getByRole('navigation').locator('a').all()
    return Promise.all(found.map(async (link) => (await link.getAttribute('href')) ?? ''))
  }

  it('leads an admin and a user to pages that are there', async () => {
    const user = await addUser('a-name-that-is-quite-long-for-a-name')
    const [hers, his] = [await links(admin), await links(user)]
    expect(hers.some((href) => href.startsWith('/admin'))).toBe(true)
    expect(his.some((href) => href.startsWith('/admin'))).toBe(false)
    for (const [{ page }, hrefs] of [
      [admin, hers],
      [user, his],
    ] as const) {
      for (const href of hrefs)
        expect([href, (await page.goto(at(href)))?.status()]).toEqual([href, 200])
    }
    await admin.page.goto(at('/admin/users'))
    await inspect(admin.page, 'page-admin-users-long-name')
    await user.page.goto(at('/account/authorizations'))
    await inspect(user.page, 'page-nothing-connected')
    expect((await user.page.goto(at('/admin/users')))?.status()).toBe(403)
    await inspect(user.page, 'page-forbidden')
    await user.close()
  })

  it('shows on a phone the links of one section, and leads to the other', async () => {
    const { page } = admin
    await page.setViewportSize({ width: 375, height: 800 })
    await page.goto(at('/account/devices'))
    const nav = page.getByRole('navigation')
    expect(await nav.getByRole('link', { name: 'Users' }).isVisible()).toBe(false)
    await nav.getByRole('link', { name: 'Administration' }).click()
    await nav.getByRole('link', { name: 'Users' }).waitFor()
    await nav.getByRole('link', { name: 'My account' }).click()
    await nav.getByRole('link', { name: 'Devices' }).waitFor()
    await page.setViewportSize({ width: 1280, height: 900 })
  })
})

describe('what no address shows', () => {
  it('an account that cannot be made has its form again', async () => {
    const { page } = admin
    await page.goto(at('/admin/users'))
    await page.getByText('Add a user').click()
    await page.getByLabel('Username', { exact: true }).fill('admin')
    await page.getByLabel('Email address', { exact: true }).fill('another@example.test')
    await page.getByRole('button', { name: 'Add user', exact: true }).click()
    await page.getByText('is already in use').waitFor()
    expect(await page.getByLabel('Email address', { exact: true }).inputValue()).toBe(
      'another@example.test',
    )
    await inspect(page, 'page-admin-users-refused')
    expect(admin.complaints.splice(0)).toEqual([expect.stringContaining('409 (Conflict)')])
  })

  it('an address without a page says so', async () => {
    const { page } = admin
    await page.goto(at('/nowhere'))
    await inspect(page, 'page-not-found')
    expect(admin.complaints.splice(0)).toEqual([expect.stringContaining('404 (Not Found)')])
  })
})

describe('a name as long as it may be, without a gap', () => {
  it('pushes no page of its client beyond the edge, nor what the audit log knows of it', async () => {
    const { page } = admin
    await page.goto(at('/admin/clients'))
    await page.getByText('Add a client').click()
    await page.getByLabel('Name', { exact: true }).fill('W'.repeat(100))
    await page.locator('#redirect_uris').fill(`https://wide.example.test/${'w'.repeat(200)}`)
    await page.getByRole('button', { name: 'Add client', exact: true }).click()
    await page.getByRole('heading', { name: 'Credentials for' }).waitFor()
    await inspect(page, 'page-wide-credentials')
    await page.goto(at('/admin/clients?search=WWW'))
    await page.getByRole('link', { name: 'WWW' }).first().click()
    await page.getByText('Back to clients').waitFor()
    const client = page.url()
    for (const [name, address] of [
      ['client', client],
      ['edit', `${client}/edit`],
      ['authorizations', `${client}/authorizations`],
      ['event', at('/admin/audit?type=CLIENT_CREATED')],
    ] as const) {
      await page.goto(address)
      if (name === 'event') await page.locator('.event-opener').first().click()
      await inspect(page, `page-wide-${name}`)
    }
  })
})

describe('a value to copy', () => {
  it('is copied by its button, which says so', async () => {
    const { page } = admin
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.goto(at('/admin/users'))
    await page.getByText('Add a user').click()
    await page.getByLabel('Username', { exact: true }).fill('copied')
    await page.getByLabel('Email address', { exact: true }).fill('copied@example.test')
    await page.getByRole('button', { name: 'Add user', exact: true }).click()
    await page.getByRole('button', { name: 'Copy Password' }).click()
    await page.getByText('Copied', { exact: true }).waitFor()
    const [, password] = await page.locator('.copyable code').allTextContents()
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(password)
    await inspect(page, 'page-copied')
    expect(admin.complaints).toEqual([])
  })
})
