import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '#/config/config.ts'
import { nameBrowser } from '#/domain/sessions/browser.ts'
import type { AppEnv } from '#/web/request/context.ts'
import { fingerprintOf, sessionPolicy } from '#/web/sessions/session-policy.ts'

const agents = {
  firefox: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  newerFirefox: 'Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.1',
  firefoxOnWindows:
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0',
  chrome:
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  edge: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0',
  opera:
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 OPR/120.0.0.0',
  safari:
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15',
  iphone:
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
  chromeOnAndroid:
    'Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36',
  curl: 'curl/8.14.1',
} as const

describe('nameBrowser', () => {
  const names: [keyof typeof agents, string, string][] = [
    ['firefox', 'Firefox', 'Linux'],
    ['firefoxOnWindows', 'Firefox', 'Windows'],
    ['chrome', 'Chrome', 'Linux'],
    ['edge', 'Edge', 'Windows'],
    ['opera', 'Opera', 'macOS'],
    ['safari', 'Safari', 'macOS'],
    ['iphone', 'Safari', 'iOS'],
    ['chromeOnAndroid', 'Chrome', 'Android'],
    ['curl', 'curl', 'unknown platform'],
  ]
  it.each(names)('knows %s as %s on %s', (agent, browser, platform) => {
    expect(nameBrowser(agents[agent])).toEqual({ browser, platform })
  })

  it('answers words of ours for anything else, and takes no time for long headers', () => {
    const unknown = { browser: 'Unknown browser', platform: 'unknown platform' }
    expect(nameBrowser('')).toEqual(unknown)
    expect(nameBrowser('<script>alert(1)</script>')).toEqual(unknown)
    const start = performance.now()
    expect(nameBrowser(`Version/${'1'.repeat(100_000)}`)).toEqual(unknown)
    expect(nameBrowser('Version/1 '.repeat(100_000))).toEqual(unknown)
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

describe('fingerprintOf', () => {
  async function fingerprint(settings: Record<string, string>, agent: string, address: string) {
    const policy = sessionPolicy(parseConfig(settings).sessions.policy)
    const app = new Hono<AppEnv>().get('/', (c) => {
      c.set('address', address)
      return c.json(fingerprintOf(c, policy))
    })
    const response = await app.request('/', { headers: { 'user-agent': agent } })
    return (await response.json()) as string | null
  }

  it('outlives an update of the browser and a change of address', async () => {
    const before = await fingerprint({}, agents.firefox, '192.0.2.1')
    expect(before).toMatch(/^[\w-]{43}$/)
    expect(await fingerprint({}, agents.newerFirefox, '192.0.2.2')).toBe(before)
  })

  it('tells another browser and another platform apart', async () => {
    const before = await fingerprint({}, agents.firefox, '192.0.2.1')
    for (const agent of [agents.firefoxOnWindows, agents.chrome, agents.curl, ''])
      expect(await fingerprint({}, agent, '192.0.2.1')).not.toBe(before)
  })

  it('holds the address where the policy says so, and nothing where it is off', async () => {
    const strict = { SESSION_FINGERPRINT_IP: 'true' }
    const before = await fingerprint(strict, agents.firefox, '192.0.2.1')
    expect(await fingerprint(strict, agents.firefox, '192.0.2.1')).toBe(before)
    expect(await fingerprint(strict, agents.firefox, '192.0.2.2')).not.toBe(before)
    expect(await fingerprint({ SESSION_FINGERPRINT: 'false' }, agents.firefox, 'x')).toBeNull()
  })
})

describe('sessionPolicy', () => {
  it.each([
    ['1800', 60_000],
    ['0', 60_000],
    ['60', 6000],
    ['600', 60_000],
    ['300', 30_000],
  ])('with an idle limit of %s seconds, notes activity every %s ms', (SESSION_IDLE_TIMEOUT, ms) => {
    const { policy } = parseConfig({ SESSION_IDLE_TIMEOUT }).sessions
    expect(sessionPolicy(policy).touch.everyMs).toBe(ms)
  })
})
