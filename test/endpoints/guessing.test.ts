/** Guessing at one account from many sides, with default settings: it is slowed, and its owner still gets in. */
import { hash } from '@node-rs/argon2'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, openBrowser } from '../support/browser.ts'
import { addAdmin, addUser, testPassword } from '../support/people.ts'

let app: TestApp
let passwordHash: string
beforeAll(async () => {
  app = await startTestApp({ settings: { ENABLE_RATE_LIMIT: 'true' } })
  // Hashing is not what is tried here.
  passwordHash = await hash(testPassword, { memoryCost: 8, timeCost: 1, parallelism: 1 })
})
afterAll(() => app.close())
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
})
afterEach(() => {
  vi.useRealTimers()
})

const secondsLater = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000)

let networks = 0
const newAddress = () => {
  networks += 1
  return `198.${18 + Math.floor(networks / 250)}.${networks % 250}.1`
}
const newBrowser = (ip = newAddress()) => openBrowser(app, { ip })
const addVictim = () => addUser(app.database.db, { passwordHash })

/** A browser that tries a wrong password each time. */
async function openGuesser(browser: Browser, username: string) {
  const csrf_token = csrfTokenOf(await (await browser.get('/login')).text())
  return async () =>
    (await browser.post('/login', { csrf_token, username, password: 'wrong' })).status
}

/** Attackers share the cookie of one form: it is the address that makes them others. */
const cookies = new Map<string, string>()
let csrf_token = ''
async function guessOnce(username: string, ip = newAddress()) {
  const browser = openBrowser(app, { ip, cookies })
  if (csrf_token === '') csrf_token = csrfTokenOf(await (await browser.get('/login')).text())
  return (await browser.post('/login', { csrf_token, username, password: 'wrong' })).status
}

it('lets the owner in from a clean address while two others send 59 guesses a minute each', async () => {
  const { username } = await addVictim()
  const attackers = [
    await openGuesser(newBrowser(), username),
    await openGuesser(newBrowser(), username),
  ]
  let checked = 0
  for (let minute = 0; minute < 7; minute += 1) {
    for (let n = 0; n < 59; n += 1) {
      for (const attack of attackers) if ((await attack()) === 401) checked += 1
      secondsLater(1)
      if (n === 30) expect((await newBrowser().signIn(username)).status).toBe(303)
    }
    secondsLater(1)
  }
  // Five a minute from each until fifty were wrong, then one in every pause.
  expect(checked).toBeGreaterThan(50)
  expect(checked).toBeLessThanOrEqual(75)
})

it('makes each network wait ever longer, but never more than a minute, and others not at all', async () => {
  const { username } = await addVictim()
  const pauses: number[] = []
  for (let round = 0; round < 7; round += 1) {
    for (let n = 0; n < 49; n += 1) {
      expect(await guessOnce(username)).toBe(401)
      secondsLater(2)
    }
    const browser = newBrowser()
    await (await openGuesser(browser, username))()
    pauses.push(Number((await browser.signIn(username)).headers.get('retry-after')))
  }
  expect(pauses).toEqual([0, 2, 4, 8, 16, 32, 60])
  expect((await newBrowser().signIn(username)).status).toBe(303)
}, 60_000)

it('holds nobody up after a success, and browsers that the account knows never', async () => {
  const { username } = await addVictim()
  const known = newBrowser()
  expect((await known.signIn(username)).status).toBe(303)
  for (let n = 0; n < 60; n += 1) {
    expect(await guessOnce(username)).toBe(401)
    secondsLater(2)
  }
  const home = newAddress()
  for (let n = 0; n < 3; n += 1) expect((await newBrowser(home).signIn(username)).status).toBe(303)
  await known.signOut()
  const guess = await openGuesser(known, username)
  expect([await guess(), await guess()]).toEqual([401, 401])
  expect((await known.signIn(username)).status).toBe(303)
})

it('counts the networks around an address, too', async () => {
  const { username } = await addVictim()
  const wrong = async (addresses: string[]) => {
    const statuses: number[] = []
    for (const ip of addresses) statuses.push(await guessOnce(username, ip))
    return statuses.filter((status) => status === 401).length
  }
  const hosts = Array.from({ length: 30 }, (_, n) => n + 1)
  expect(await wrong(hosts.map((n) => `203.0.113.${n}`))).toBe(20)
  secondsLater(61)
  expect(await wrong(hosts.map((n) => `2001:db8:7:10::${n}`))).toBe(5)
  expect(await wrong(hosts.map((n) => `2001:db8:7:10${n.toString(16).padStart(2, '0')}::1`))).toBe(
    10,
  )
  expect(await wrong(hosts.map((n) => `2001:db8:7:${n.toString(16)}00::1`))).toBe(5)
})

it('shows the person and operators what was tried', async () => {
  const user = await addVictim()
  for (let n = 0; n < 52; n += 1) {
    await guessOnce(user.username, n === 51 ? '203.0.113.99' : undefined)
    secondsLater(2)
  }
  const events = await app.database.db.query.auditEvents.findMany()
  const suspicions = events.filter(({ type }) => type === 'SUSPICIOUS_ACTIVITY')
  expect(suspicions.filter(({ resourceId }) => resourceId === user.id)).toMatchObject([
    { severity: 'critical', details: { reason: 'password_guessing', failures: 50 } },
  ])
  const browser = newBrowser()
  await browser.signIn(user.username)
  const security = await (await browser.get('/account/security')).text()
  expect(security).toContain('203.0.113.99')
  expect(security).toContain('If this was not you')
  const operator = newBrowser()
  await operator.signIn((await addAdmin(app.database.db)).username)
  const page = await (await operator.get(`/admin/users/${user.id}`)).text()
  expect(page).toContain('203.0.113.99')
})
