/** Behind TLS, where cookies have the names that no other host can plant, and clients may still live on this machine. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { authorizePath } from '../support/flow.ts'
import { createHome, type Home } from '../support/process.ts'
import { startTlsProxy, type TlsProxy } from '../support/tls-proxy.ts'
import { type Callback, startCallback } from './callback.ts'
import { launchChromium, openProfile } from './chromium.ts'

let chromium: Browser
let proxy: TlsProxy
let home: Home
let callback: Callback
beforeAll(async () => {
  chromium = await launchChromium()
  proxy = await startTlsProxy()
  home = await createHome()
  await home.start(proxy.settings)
  callback = await startCallback('127.0.0.1', (landing) => `${landing}/`)
})
afterAll(async () => {
  await chromium.close()
  await callback.close()
  await home.remove()
  await proxy.close()
})

it.each(['query', 'form_post'])(
  'a person signs in under cookies of this host alone, lets a loopback client in by %s, and signs out',
  async (response_mode) => {
    const person = await openProfile(chromium, { ignoreHTTPSErrors: true })
    const { page } = person
    const { username, password, clientId } = home.credentials()
    const redirect_uri = callback.url
    await page.goto(proxy.url + authorizePath(clientId, { redirect_uri, response_mode }))
    await page.getByLabel('Username').fill(username)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    const allow = page.getByRole('button', { name: 'Allow', exact: true })
    const landed = page.getByText('Landed')
    await allow.or(landed).first().waitFor()
    if (await allow.isVisible()) await allow.click()
    await landed.waitFor()
    const cookies = (await page.context().cookies()).filter(({ name }) =>
      name.startsWith('__Host-'),
    )
    expect(cookies.map(({ name }) => name)).toContain('__Host-oauth_session')
    for (const cookie of cookies)
      expect(cookie).toMatchObject({ secure: true, httpOnly: true, path: '/', domain: 'localhost' })
    await page.goto(`${proxy.url}/account/devices`)
    await page.getByRole('button', { name: 'Sign out', exact: true }).first().click()
    await page.waitForURL(`${proxy.url}/login*`)
    await page.goto(`${proxy.url}/account/devices`)
    await page.waitForURL(`${proxy.url}/login*`)
    expect(person.complaints).toEqual([])
    await person.close()
  },
)
