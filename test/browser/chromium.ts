/** Chromium without a screen; whatever it complains about is kept. */
import { fileURLToPath } from 'node:url'
import { AxeBuilder } from '@axe-core/playwright'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { expect } from 'vitest'

const screenshots = fileURLToPath(new URL('../.output/screenshots', import.meta.url))

export const launchChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })

export interface Person {
  readonly page: Page
  /** Errors of the console, of scripts and of the network, refusals by a CSP among them. */
  readonly complaints: string[]
  close(): Promise<void>
}

/** A fresh profile with one tab. */
export async function openProfile(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<Person> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('requestfailed', (request) => {
    const error = request.failure()?.errorText
    // Whoever moves on before an icon has arrived aborts its request; that is no complaint.
    if (error !== 'net::ERR_ABORTED')
      complaints.push(`${request.method()} ${request.url()}: ${error}`)
  })
  return { page, complaints, close: () => context.close() }
}

/** Finds no barrier with axe, in light and in dark, wide and narrow; leaves a picture of each, but where nobody looks at them (CI). */
export async function inspect(page: Page, name: string): Promise<void> {
  const isLookedAt = process.env['CI'] === undefined
  const before = page.viewportSize() ?? { width: 1280, height: 900 }
  for (const [colorScheme, width] of [
    ['light', 1280],
    ['dark', 375],
  ] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await page.setViewportSize({ width, height: 900 })
    const path = `${screenshots}/${name}-${colorScheme}-${width}.png`
    if (isLookedAt) await page.screenshot({ path, fullPage: true })
    const { violations } = await new AxeBuilder({ page })
      .options({ resultTypes: ['violations'] })
      .analyze()
    expect(
      violations.map(({ id, nodes }) => ({ id, at: nodes.map(({ html }) => html) })),
      `${name} in ${colorScheme} at ${width} px`,
    ).toEqual([])
    const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
    expect(overflow, `${name} scrolls sideways at ${width} px`).toBeLessThanOrEqual(0)
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null })
  await page.setViewportSize(before)
}

/** What whoever signs in with a password of somebody else's choice has to do first. */
export async function choosePassword(page: Page, given: string): Promise<void> {
  await page.getByLabel('Temporary password').fill(given)
  for (const label of ['New password', 'Confirm new password'])
    await page.getByLabel(label, { exact: true }).fill(`${given} and more`)
  await page.getByRole('button', { name: 'Set password and continue' }).click()
}
