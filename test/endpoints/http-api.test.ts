import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { users } from '#/database/schema/users.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { authorizePath } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

interface Asked {
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly path: string
}

type Answer = (response: ServerResponse, asked: Asked) => void

const asked: Asked[] = []
let answer: Answer
const api = createServer(async (request, response) => {
  const parts: Buffer[] = []
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part)
  const one = {
    headers: request.headers,
    body: Buffer.concat(parts).toString(),
    path: request.url ?? '',
  }
  asked.push(one)
  answer(response, one)
})

const json =
  (value: unknown, status = 200, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(value))

const password = 'known to the API alone'
const sharedSecret = 'shared-secret-of-the-api'
let settings: Record<string, string>
let app: TestApp

beforeAll(async () => {
  await new Promise<void>((done) => api.listen(0, '127.0.0.1', done))
  settings = {
    AUTH_MODE: 'http_api',
    HTTP_API_URL: `http://127.0.0.1:${(api.address() as AddressInfo).port}/check/password`,
    HTTP_API_AUTH_MODE: 'hmac',
    HTTP_API_AUTH_SECRET: sharedSecret,
    HTTP_API_MAX_RETRIES: '2',
    HTTP_API_RETRY_DELAY: '1ms',
    HTTP_API_MAX_RETRY_DELAY: '5ms',
  }
  app = await startTestApp({ settings })
})
afterAll(async () => {
  await app.close()
  api.closeAllConnections()
  api.close()
})
beforeEach(() => {
  asked.length = 0
})

const newName = () => `person-${crypto.randomUUID().slice(0, 12)}`

const signInAs = (username: string, on: Pick<TestApp, 'request'> = app, typed = password) =>
  openBrowser(on).submit('/login', '/login', { username, password: typed })

const vouchFor = (name: string, more: Record<string, unknown> = {}) =>
  json({
    success: true,
    user_id: `id-${name}`,
    email: `${name}@api.test`,
    full_name: 'Ada',
    ...more,
  })

const accountOf = async (username: string) =>
  (await app.database.db.select().from(users).where(eq(users.username, username)))[0]

/** An account that has signed in once. */
async function newPerson() {
  const name = newName()
  answer = vouchFor(name)
  expect((await signInAs(name)).status).toBe(303)
  asked.length = 0
  return name
}

const failed = (reason: string, source = 'unknown') => ({
  'auth_attempts_total{method="http_api",result="failure"}': 1,
  [`auth_login_total{auth_source="${source}",result="failure"}`]: 1,
  [`authgate_login_failures_total{reason="${reason}"}`]: 1,
})

describe('a first sign-in that the API vouches for', () => {
  it('makes an account without a password and signs in', async () => {
    const name = newName()
    answer = vouchFor(name)
    const { result, moved } = await observe(app, () => signInAs(name))
    expect(result.status).toBe(303)
    expect(moved).toMatchObject({
      'auth_attempts_total{method="http_api",result="success"}': 1,
      'auth_login_total{auth_source="http_api",result="success"}': 1,
      sessions_created_total: 1,
    })
    expect(await accountOf(name)).toMatchObject({
      authSource: 'http_api',
      passwordHash: null,
      role: 'user',
      email: `${name}@api.test`,
      emailVerified: false,
      fullName: 'Ada',
    })
    expect(JSON.parse(asked[0]?.body ?? '')).toEqual({ username: name, password })
  })

  it('makes one account of parallel first sign-ins', async () => {
    const name = newName()
    answer = vouchFor(name)
    const answers = await Promise.all(Array.from({ length: 6 }, () => signInAs(name)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 303))
    const rows = await app.database.db.query.identities.findMany({
      where: (t, { eq: is }) => is(t.subject, `id-${name}`),
    })
    expect(rows).toHaveLength(1)
  })

  it.each(['no address', 'an address that is taken', 'a name that is taken'])(
    'is refused as a conflict with %s, and changes nothing',
    async (kind) => {
      const other = await addUser(app.database.db)
      const person = await newPerson()
      const isName = kind === 'a name that is taken'
      const name = isName ? person : newName()
      const email = kind === 'no address' ? '' : other.email.toUpperCase()
      answer = vouchFor(name, isName ? { user_id: 'another', email: 'new@api.test' } : { email })
      const { result, moved } = await observeUnchanged(app, () => signInAs(name))
      expect(result.status).toBe(409)
      expect(moved).toEqual(failed('conflict', isName ? 'http_api' : 'unknown'))
    },
  )
})

it('is a conflict for a name that is an operator’s to give, and for nobody who has it', async () => {
  answer = vouchFor('support', { email: 'support@api.test' })
  const { result, moved } = await observeUnchanged(app, () => signInAs('support'))
  expect([result.status, moved]).toEqual([409, failed('conflict')])
  const name = await newPerson()
  await app.database.db.update(users).set({ username: 'helpdesk' }).where(eq(users.username, name))
  answer = vouchFor(name)
  expect((await signInAs('helpdesk')).status).toBe(303)
})

it('tells whoever proves a name that a provider’s account has taken that it is a conflict', async () => {
  const { username } = await addUser(app.database.db, { authSource: 'oauth', passwordHash: null })
  answer = vouchFor(username, { email: `org-${username}@api.test` })
  const { result, moved } = await observeUnchanged(app, () => signInAs(username))
  expect([result.status, moved]).toEqual([409, failed('conflict', 'http_api')])
})

describe('an address that a stranger has told a provider', () => {
  const addStranger = () => addUser(app.database.db, { authSource: 'oauth', passwordHash: null })
  const addressOf = async (id: string) =>
    (await app.database.db.select().from(users).where(eq(users.id, id)))[0]?.email

  it('keeps nobody out of their first sign-in', async () => {
    const [stranger, name] = [await addStranger(), newName()]
    answer = vouchFor(name, { email: stranger.email })
    expect((await signInAs(name)).status).toBe(303)
    expect(await accountOf(name)).toMatchObject({ email: stranger.email, emailVerified: false })
    expect(await addressOf(stranger.id)).toBeNull()
  })

  it('is taken over at a later one', async () => {
    const [stranger, name] = [await addStranger(), await newPerson()]
    answer = vouchFor(name, { email: stranger.email })
    expect((await signInAs(name)).status).toBe(303)
    expect((await accountOf(name))?.email).toBe(stranger.email)
    expect(await addressOf(stranger.id)).toBeNull()
  })

  it('stays where it is when no account can be made', async () => {
    const [stranger, person] = [await addStranger(), await newPerson()]
    answer = vouchFor(person, { user_id: 'somebody else', email: stranger.email })
    const { result } = await observeUnchanged(app, () => signInAs(person))
    expect([result.status, await addressOf(stranger.id)]).toEqual([409, stranger.email])
  })
})

describe('a later sign-in', () => {
  it('takes over a changed address, which is no longer verified, and a changed name', async () => {
    const name = await newPerson()
    await app.database.db.update(users).set({ emailVerified: true }).where(eq(users.username, name))
    answer = vouchFor(name, { email: `new-${name}@api.test`, full_name: 'Ada L.' })
    const before = await countAudit(app, 'USER_SYNCED')
    expect((await signInAs(name)).status).toBe(303)
    expect(await accountOf(name)).toMatchObject({
      email: `new-${name}@api.test`,
      emailVerified: false,
      fullName: 'Ada L.',
    })
    expect(await countAudit(app, 'USER_SYNCED')).toBe(before + 1)
  })

  it('goes on without an address that somebody else has', async () => {
    const [name, other] = [await newPerson(), await addUser(app.database.db)]
    answer = vouchFor(name, { email: other.email })
    expect((await signInAs(name)).status).toBe(303)
    expect((await accountOf(name))?.email).toBe(`${name}@api.test`)
  })

  it('of a disabled account is refused, and changes nothing', async () => {
    const name = await newPerson()
    await app.database.db.update(users).set({ isActive: false }).where(eq(users.username, name))
    answer = vouchFor(name, { full_name: 'Changed' })
    const { result, moved } = await observeUnchanged(app, () => signInAs(name))
    expect([result.status, moved]).toEqual([401, failed('account_inactive', 'http_api')])
  })
})

describe('a client that wants its user to sign in once more', () => {
  it('is served by the API as well', async () => {
    const { client } = await addClient(app.database.db)
    const name = await newPerson()
    const browser = openBrowser(app)
    await browser.signIn(name, { password })
    const path = authorizePath(client.clientId, { prompt: 'login' })
    const { searchParams } = new URL(
      (await browser.get(path)).headers.get('location') ?? '',
      'http://self',
    )
    const redirect = searchParams.get('redirect') ?? ''
    const page = `/login?again=1&redirect=${encodeURIComponent(redirect)}`
    answer = json({ success: false })
    const refused = await browser.submit(page, '/login', { username: name, password, redirect })
    answer = vouchFor(name)
    const done = await browser.submit(page, '/login', { username: name, password, redirect })
    expect([refused.status, done.status, done.headers.get('location')]).toEqual([
      401,
      303,
      redirect,
    ])
    expect((await browser.get(redirect)).status).toBe(200)
  })
})

describe('an answer that is not yes', () => {
  it.each([200, 401])(
    'refuses a wrong password (%i), asks once and changes nothing',
    async (status) => {
      const name = await newPerson()
      answer = json({ success: false, message: 'a word of theirs' }, status)
      const { result, moved } = await observeUnchanged(app, () => signInAs(name))
      expect([result.status, asked.length]).toEqual([401, 1])
      expect(moved).toEqual(failed('wrong_password', 'http_api'))
      expect(await result.text()).not.toContain('a word of theirs')
      const audit = JSON.stringify(await app.database.db.query.auditEvents.findMany())
      for (const word of ['a word of theirs', password, sharedSecret])
        expect(audit).not.toContain(word)
    },
  )

  const yes = { success: true, user_id: 'someone', email: 'someone@api.test' }
  it.each<[string, Answer]>([
    ['no JSON', (response) => response.end('<html>')],
    ['nothing', (response) => response.end()],
    ['success that is a word', json({ ...yes, success: 'true' })],
    ['no user_id', json({ ...yes, user_id: undefined })],
    ['an empty user_id', json({ ...yes, user_id: ' ' })],
    ['a user_id with a NUL', json({ ...yes, user_id: 'a\0b' })],
    ['an address that is none', json({ ...yes, email: 'nobody' })],
    ['success in an error', json(yes, 400)],
    ['a refusal of our secret without a verdict', json({ error: 'secret' }, 401)],
    ['a redirect', json(yes, 307, { location: '/elsewhere' })],
    ['100 KiB', json({ ...yes, message: 'x'.repeat(100_000) })],
    ['an error of its own', json(yes, 500)],
  ])('is out of service after %s, asked once', async (_, given) => {
    answer = given
    const { result, moved } = await observeUnchanged(app, () => signInAs(newName()))
    expect([result.status, result.headers.get('retry-after'), asked.length]).toEqual([503, '60', 1])
    expect(await result.text()).toContain('temporarily unavailable')
    expect(moved).toEqual(failed('unavailable'))
  })

  it.each([429, 502, 503, 504])(
    'is asked for again after %i, so often and no more',
    async (status) => {
      answer = json({}, status, { 'retry-after': '3600' })
      const { result, moved } = await observeUnchanged(app, () => signInAs(newName()))
      expect([result.status, asked.length]).toEqual([503, 3])
      expect(moved).toEqual({ ...failed('unavailable'), auth_external_api_retries_total: 2 })
    },
  )

  it('is forgotten when the next attempt succeeds', async () => {
    const name = newName()
    answer = (response, one) => (asked.length < 3 ? json({}, 503) : vouchFor(name))(response, one)
    expect([(await signInAs(name)).status, asked.length]).toEqual([303, 3])
  })

  it('breaks off an attempt that takes too long, and does not repeat it', async () => {
    const impatient = await startTestApp({
      settings: { ...settings, HTTP_API_TIMEOUT: '50ms' },
      replicaOf: app,
    })
    answer = (response) => response.writeHead(200).write('{')
    const { result, moved } = await observe(impatient, () => signInAs(newName(), impatient))
    const samples = await impatient.samples()
    await impatient.close()
    expect([result.status, asked.length, moved]).toEqual([503, 1, failed('unavailable')])
    expect(samples.get('auth_external_api_duration_seconds_count{result="timeout"}')).toBe(1)
  })
})

describe('who is asked', () => {
  it.each(['', 'x'.repeat(1025)])(
    'nobody about a password of no possible length',
    async (typed) => {
      answer = vouchFor('nobody')
      const { result } = await observeUnchanged(app, () => signInAs(newName(), app, typed))
      expect([result.status, asked.length]).toEqual([401, 0])
    },
  )

  it('we ourselves about a local account, even while the API is down', async () => {
    const admin = await addAdmin(app.database.db)
    const alone = await startTestApp({
      settings: { ...settings, HTTP_API_URL: 'http://127.0.0.1:1/' },
      replicaOf: app,
    })
    const [stranger, operator] = [
      await signInAs(newName(), alone),
      await openBrowser(alone).signIn(admin.username),
    ]
    await alone.close()
    expect([stranger.status, operator.status]).toEqual([503, 303])
  })

  it('never the API with the password of a local account', async () => {
    const user = await addUser(app.database.db)
    answer = vouchFor(user.username)
    expect([(await signInAs(user.username)).status, asked.length]).toEqual([401, 0])
  })
})

describe('how the API knows us', () => {
  it('by a signature over moment, method, path and body', async () => {
    answer = json({ success: false })
    await signInAs(newName())
    const [{ headers, body, path } = { headers: {}, body: '', path: '' }] = asked
    const digest = createHash('sha256').update(body).digest('hex')
    const signed = `${headers['x-timestamp']}\nPOST\n${path}\n${digest}`
    const expected = createHmac('sha256', sharedSecret).update(signed).digest('hex')
    expect([path, headers['x-signature']]).toEqual(['/check/password', expected])
    expect(Math.abs(Number(headers['x-timestamp']) - Date.now() / 1000)).toBeLessThan(60)
  })

  it.each([
    ['simple', sharedSecret],
    ['none', undefined],
  ])('by what the mode %s sends', async (mode, sent) => {
    const other = await startTestApp({
      settings: { ...settings, HTTP_API_AUTH_MODE: mode, HTTP_API_AUTH_HEADER: 'X-Ours' },
      replicaOf: app,
    })
    answer = json({ success: false })
    await signInAs(newName(), other)
    await other.close()
    expect(asked[0]?.headers['x-ours']).toBe(sent)
    expect(asked[0]?.headers['x-signature']).toBeUndefined()
  })
})
