/** What browsers keep for us: sessions, CSRF values, and which accounts they know. Secrets may change meanwhile. */
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { createCsrf } from '#/web/guards/csrf.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { createCookies } from '#/web/sessions/cookies.ts'
import { createKnownBrowsers } from '#/web/sessions/known-browsers.ts'
import { createSessionCookies, ironPasswords } from '#/web/sessions/session-cookies.ts'

const jar = createCookies({ secure: false, path: '/' })
const issuer = 'http://localhost'
const [old, fresh, foreign] = ['old', 'new', 'foreign'].map((name) =>
  `${name} secret of at least 32 characters`.padEnd(40, '.'),
) as [string, string, string]

/** Runs a handler with the given cookies; its answer, and the cookies that it sets. */
async function inBrowser<T>(
  cookies: Record<string, string>,
  handle: (c: AppContext) => Promise<T> | T,
) {
  let answer: T | undefined
  const app = new Hono<AppEnv>().get('/', async (c) => {
    answer = await handle(c)
    return c.body(null)
  })
  const cookie = Object.entries(cookies)
    .map(([name, value]) => `${name}=${value}`)
    .join('; ')
  const response = await app.request('/', { headers: { cookie } })
  const set = Object.fromEntries(
    response.headers.getSetCookie().map((line) => {
      const [pair = ''] = line.split(';')
      return [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
    }),
  )
  if (response.status !== 200) throw new Error(`the handler failed with ${response.status}`)
  return { answer, set }
}

const id = '0f9bfd67-8a62-47b5-b896-326d0a37d519'

describe('the session cookie', () => {
  const open = async (secrets: string[], seal: string) =>
    (
      await inBrowser({ oauth_session: seal }, (c) =>
        createSessionCookies({ secrets, jar }).open(c),
      )
    ).answer

  it('opens under the secret that sealed it, also when a newer one has come before it', async () => {
    const seal = await createSessionCookies({ secrets: [old], jar }).seal(id, 60_000)
    expect(await open([old], seal)).toBe(id)
    expect(await open([fresh, old], seal)).toBe(id)
    expect(await open([fresh], seal)).toBeUndefined()
    expect(await open([foreign], seal)).toBeUndefined()
  })

  it('is sealed under the newest secret, so that the older one can go', async () => {
    const seal = await createSessionCookies({ secrets: [fresh, old], jar }).seal(id, 60_000)
    expect(await open([fresh], seal)).toBe(id)
    expect(await open([old], seal)).toBeUndefined()
  })

  it('is none when cut, changed, too long, or made up', async () => {
    const seal = await createSessionCookies({ secrets: [old], jar }).seal(id, 60_000)
    const changed = `${seal.slice(0, 60)}${seal[60] === 'a' ? 'b' : 'a'}${seal.slice(61)}`
    for (const wrong of ['', 'x', id, seal.slice(0, -3), changed, 'a'.repeat(1025)])
      expect(await open([old], wrong)).toBeUndefined()
  })

  it('shows nothing of the id, and is another one each time', async () => {
    const cookies = createSessionCookies({ secrets: [old], jar })
    const seals = await Promise.all([cookies.seal(id, 60_000), cookies.seal(id, 60_000)])
    expect(seals[0]).not.toBe(seals[1])
    for (const seal of seals) expect(seal).not.toContain(id)
  })

  it('numbers secrets by what they are, not by where they stand', () => {
    const [one, two] = [ironPasswords([old, fresh]), ironPasswords([fresh, old])]
    expect(one.open).toEqual(two.open)
    expect(Object.values(one.seal)).toEqual([old])
    expect(Object.values(two.seal)).toEqual([fresh])
  })
})

describe('the CSRF token', () => {
  const tokenFor = async (secrets: string[], cookies: Record<string, string> = {}) => {
    const { answer = '', set } = await inBrowser(cookies, (c) =>
      createCsrf({ secrets, jar, issuer }).token(c),
    )
    return { token: answer, cookie: set['oauth_csrf'] ?? cookies['oauth_csrf'] ?? '' }
  }
  async function accepts(secrets: string[], cookie: string, token: string): Promise<boolean> {
    const app = new Hono<AppEnv>()
      .post('/', createCsrf({ secrets, jar, issuer }).require, (c) => c.body(null))
      .onError((_, c) => c.body(null, 403))
    const response = await app.request('/', {
      method: 'POST',
      body: new URLSearchParams({ csrf_token: token }).toString(),
      headers: {
        cookie: `oauth_csrf=${cookie}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
    })
    return response.status === 200
  }

  it('belongs to one browser and stays the same for it', async () => {
    const [one, two] = [await tokenFor([old]), await tokenFor([old])]
    expect(one.token).not.toBe(two.token)
    expect((await tokenFor([old], { oauth_csrf: one.cookie })).token).toBe(one.token)
    expect(await accepts([old], one.cookie, one.token)).toBe(true)
    expect(await accepts([old], two.cookie, one.token)).toBe(false)
    expect(await accepts([old], one.cookie, one.cookie)).toBe(false)
    expect(await accepts([old], '', '')).toBe(false)
  })

  it('outlives a change of secrets while the older one is kept', async () => {
    const { token, cookie } = await tokenFor([old])
    expect(await accepts([fresh, old], cookie, token)).toBe(true)
    expect(await accepts([fresh], cookie, token)).toBe(false)
  })

  it('replaces a cookie that it cannot have made', async () => {
    for (const oauth_csrf of ['', 'x', 'x'.repeat(44), `${'x'.repeat(42)}!`])
      expect((await tokenFor([old], { oauth_csrf })).cookie).toMatch(/^[\w-]{43}$/)
  })
})

describe('a known browser', () => {
  const known = createKnownBrowsers({ secrets: [old], jar })
  const remember = async (username: string, oauth_known_browser = '') => {
    const { set } = await inBrowser({ oauth_known_browser }, (c) => known.remember(c, username))
    return set['oauth_known_browser'] ?? oauth_known_browser
  }
  const recognise = async (username: string, oauth_known_browser: string, by = known) =>
    (await inBrowser({ oauth_known_browser }, (c) => by.recognise(c, username))).answer

  it('is recognised for the accounts that signed in from it, and keeps its id', async () => {
    const first = await remember('ada')
    const both = await remember('grace', first)
    const browser = await recognise('ada', first)
    expect(browser).toMatch(/^[0-9a-f-]{36}$/)
    expect(await recognise('ada', both)).toBe(browser)
    expect(await recognise('grace', both)).toBe(browser)
    expect(await recognise('grace', first)).toBeUndefined()
    expect(await recognise('nobody', both)).toBeUndefined()
    expect(await remember('ada', both)).toBe(both)
  })

  it('knows eight accounts at most, the latest ones', async () => {
    let cookie = ''
    for (let n = 0; n < 9; n += 1) cookie = await remember(`user-${n}`, cookie)
    expect(await recognise('user-0', cookie)).toBeUndefined()
    for (let n = 1; n < 9; n += 1) expect(await recognise(`user-${n}`, cookie)).toBeDefined()
    expect(cookie.length).toBeLessThan(2048)
  })

  it('cannot be made up, and is forgotten with its secret', async () => {
    const cookie = await remember('ada')
    for (const wrong of ['', 'x', cookie.slice(1), 'a'.repeat(3000)])
      expect(await recognise('ada', wrong)).toBeUndefined()
    const others = createKnownBrowsers({ secrets: [foreign], jar })
    expect(await recognise('ada', cookie, others)).toBeUndefined()
    const rotated = createKnownBrowsers({ secrets: [fresh, old], jar })
    expect(await recognise('ada', cookie, rotated)).toBeDefined()
  })

  it('does not take a session for it, sealed under the same secret', async () => {
    const seal = await createSessionCookies({ secrets: [old], jar }).seal(id, 60_000)
    expect(await recognise('ada', seal)).toBeUndefined()
    const session = createSessionCookies({ secrets: [old], jar })
    const cookie = await remember('ada')
    const { answer } = await inBrowser({ oauth_session: cookie }, (c) => session.open(c))
    expect(answer).not.toBe(id)
  })
})
