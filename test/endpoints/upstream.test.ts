/** Signing in through identity providers: real HTTP to a provider that this file starts. */
import { desc, eq, sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { identities } from '#/database/schema/identities.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { users } from '#/database/schema/users.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import {
  type IdentityProvider,
  type Person,
  startIdentityProvider,
} from '../support/identity-provider.ts'
import { addAdmin, addUser } from '../support/people.ts'
import { countAudit, observe, observeUnchanged, rowsOf, stateOf } from './refusals.ts'

let upstream: IdentityProvider
let app: TestApp
beforeAll(async () => {
  upstream = await startIdentityProvider()
  app = await startTestApp({ settings: upstream.settings })
})
afterAll(async () => {
  await app.close()
  await upstream.close()
})
afterEach(() => upstream.misbehave({}))

const sources = ['github', 'gitea', 'gitlab', 'microsoft', 'oidc'] as const
let latest = 1000

function newPerson(more: Partial<Person> = {}): Person {
  latest += 1
  const username = `up-${crypto.randomUUID().slice(0, 8)}`
  return { id: latest, username, email: `${username}@up.example.test`, verified: true, ...more }
}

/** Leaves for the provider; answers where to. */
async function leave(browser: Browser, source: string, query = '', from = app) {
  const response = await openBrowser(from, { cookies: browser.cookies }).get(
    `/auth/login/${source}${query}`,
  )
  expect(response.status).toBe(303)
  return response.headers.get('location') ?? ''
}

const comeBack = (browser: Browser, source: string, answer: URLSearchParams) =>
  browser.get(`/auth/callback/${source}?${answer}`)

async function signInAs(person: Person, source: string, browser = openBrowser(app)) {
  return comeBack(browser, source, upstream.approve(await leave(browser, source), person))
}

const userByEmail = async (email: string | undefined, from = app) =>
  (
    await from.database.db
      .select()
      .from(users)
      .where(eq(users.email, email ?? ''))
  )[0]

const welcome = (source: string, result: string) => ({
  'auth_attempts_total{method="oauth",result="success"}': 1,
  [`auth_login_total{auth_source="${source}",result="success"}`]: 1,
  [`auth_oauth_callback_total{provider="${source}",result="${result}"}`]: 1,
  sessions_active: 1,
  sessions_created_total: 1,
})

const refusal = (source: string, result: string, reason = 'upstream') => ({
  'auth_attempts_total{method="oauth",result="failure"}': 1,
  [`auth_login_total{auth_source="${source}",result="failure"}`]: 1,
  [`auth_oauth_callback_total{provider="${source}",result="${result}"}`]: 1,
  [`authgate_login_failures_total{reason="${reason}"}`]: 1,
})

/** A step that may use up its state, and change nothing else. */
async function expectRefused(
  step: () => Promise<Response>,
  {
    status,
    moved: expected,
    from = app,
    back = 'href="/login',
  }: { status: number; moved: object; from?: TestApp; back?: string },
) {
  const rows = async () => ({ ...(await stateOf(from)), used_proofs: '' })
  const before = await rows()
  const { result, moved } = await observe(from, step)
  const text = await result.text()
  expect([result.status, moved]).toEqual([status, expected])
  expect(await rows()).toEqual(before)
  expect(text).toContain(back)
  return text
}

describe.each(sources)('signing in through %s', (source) => {
  it('makes an account the first time and finds it the second', async () => {
    const person = newPerson()
    const first = await observe(app, () => signInAs(person, source))
    expect(first.result.headers.get('location')).toBe('/account/devices')
    const { users_total: _users, ...rest } = first.moved
    expect(rest).toMatchObject(welcome(source, 'registered'))
    const user = await userByEmail(person.email)
    expect(user).toMatchObject({
      username: person.username,
      authSource: 'oauth',
      role: 'user',
      passwordHash: null,
      emailVerified: source === 'github',
    })
    const browser = openBrowser(app)
    const second = await observe(app, () => signInAs(person, source, browser))
    expect(second.moved).toEqual(welcome(source, 'success'))
    expect((await browser.get('/account/devices')).status).toBe(200)
    const links = await app.database.db
      .select()
      .from(identities)
      .where(eq(identities.userId, user?.id ?? ''))
    expect(links).toMatchObject([{ source, subject: String(person.id), label: person.username }])
    const started = await app.database.db
      .select()
      .from(sessions)
      .where(eq(sessions.userId, user?.id ?? ''))
    expect(started.map(({ loginSource }) => loginSource)).toEqual([source, source])
  })

  it('makes one account, whoever comes back at the same moment', async () => {
    const person = newPerson()
    const answers = await Promise.all(Array.from({ length: 6 }, () => signInAs(person, source)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 303))
    const all = await app.database.db.select().from(users)
    expect(all.filter(({ email }) => email === person.email)).toHaveLength(1)
    const links = await app.database.db.select().from(identities)
    expect(
      links.filter((link) => link.source === source && link.subject === String(person.id)),
    ).toHaveLength(1)
  })

  it('takes an answer once: its replay is refused, also of many at the same moment', async () => {
    const browser = openBrowser(app)
    const answer = upstream.approve(await leave(browser, source), newPerson())
    const copies = Array.from({ length: 5 }, () => browser.clone())
    const answers = await Promise.all(copies.map((copy) => comeBack(copy, source, answer)))
    expect(answers.map(({ status }) => status).sort()).toEqual([303, 400, 400, 400, 400])
    await expectRefused(() => comeBack(browser.clone(), source, answer), {
      status: 400,
      moved: refusal(source, 'bad_state'),
    })
  })

  it('refuses an answer that another browser, or nobody, asked for', async () => {
    const answer = upstream.approve(await leave(openBrowser(app), source), newPerson())
    const other = openBrowser(app)
    await leave(other, source)
    for (const wrong of [answer, new URLSearchParams({ code: 'x' }), new URLSearchParams()]) {
      const { result, moved } = await observeUnchanged(app, () => comeBack(other, source, wrong))
      expect([result.status, moved]).toEqual([400, refusal(source, 'bad_state')])
      expect(other.cookies.has('oauth_session')).toBe(false)
    }
  })

  it('refuses an answer at the address of another provider', async () => {
    const browser = openBrowser(app)
    const answer = upstream.approve(await leave(browser, source), newPerson())
    const other = source === 'github' ? 'gitea' : 'github'
    await expectRefused(() => comeBack(browser, other, answer), {
      status: 400,
      moved: refusal(other, 'bad_state'),
    })
  })

  it.each([
    ['access_denied', 403, 'access_denied'],
    ['temporarily_unavailable', 503, 'unavailable'],
    ['invalid_scope', 502, 'provider_error'],
    ['<script>', 502, 'provider_error'],
  ])('says in our words that the provider answered %s', async (error, status, result) => {
    const browser = openBrowser(app)
    const state = new URL(await leave(browser, source)).searchParams.get('state') ?? ''
    const answer = new URLSearchParams({ error, state, error_description: 'evil words' })
    const text = await expectRefused(() => comeBack(browser, source, answer), {
      status,
      moved: refusal(source, result),
    })
    expect(text).not.toMatch(/evil|<script>/)
  })

  it('is timed when it was asked, not when all was known or refused before', async () => {
    await signInAs(newPerson(), source)
    const series = 'authgate_upstream_request_duration_seconds_count'
    const asked = async () => {
      const samples = await app.samples()
      return ['discovery', 'token', 'profile'].map(
        (operation) => samples.get(`${series}{operation="${operation}",provider="${source}"}`) ?? 0,
      )
    }
    const before = await asked()
    const browser = openBrowser(app)
    const state = new URL(await leave(browser, source)).searchParams.get('state') ?? ''
    await comeBack(browser, source, new URLSearchParams({ error: 'access_denied', state }))
    expect(await asked()).toEqual(before)
    await signInAs(newPerson(), source)
    const [discoveries = 0, tokens = 0, profiles = 0] = before
    // An ID token with an address in it answers the last question, too.
    const more = ['microsoft', 'oidc'].includes(source) ? 0 : 1
    expect(await asked()).toEqual([discoveries, tokens + 1, profiles + more])
  })

  it('refuses what another issuer answered, before the code is shown to anybody', async () => {
    const browser = openBrowser(app)
    const answer = upstream.approve(await leave(browser, source), newPerson())
    answer.set('iss', 'https://evil.example.test')
    const handedOut = upstream.tokens.length
    await expectRefused(() => comeBack(browser, source, answer), {
      status: 502,
      moved: refusal(source, 'wrong_issuer'),
    })
    expect(upstream.tokens).toHaveLength(handedOut)
  })

  it('refuses a code that the provider does not know', async () => {
    const browser = openBrowser(app)
    const answer = upstream.approve(await leave(browser, source), newPerson())
    answer.set('code', 'made-up')
    await expectRefused(() => comeBack(browser, source, answer), {
      status: 502,
      moved: refusal(source, 'exchange_failed'),
    })
  })

  it('refuses a disabled account', async () => {
    const person = newPerson()
    await signInAs(person, source)
    await app.database.db
      .update(users)
      .set({ isActive: false })
      .where(eq(users.email, person.email ?? ''))
    const browser = openBrowser(app)
    const before = await countAudit(app, 'AUTHENTICATION_FAILURE')
    const { result, moved } = await observe(app, () => signInAs(person, source, browser))
    expect([result.status, browser.cookies.has('oauth_session')]).toEqual([403, false])
    expect(moved).toEqual(refusal(source, 'account_inactive', 'account_inactive'))
    expect(await countAudit(app, 'AUTHENTICATION_FAILURE')).toBe(before + 1)
  })
})

describe.each(['microsoft', 'oidc'])('an ID token of %s', (source) => {
  it.each([
    ['for another sign-in', { claims: { nonce: 'another' } }],
    ['for nobody in particular', { claims: { nonce: undefined } }],
    ['for another client', { claims: { aud: 'somebody-else' } }],
    ['of another issuer', { claims: { iss: 'https://evil.example.test' } }],
    ['of another key', { foreignKey: true }],
  ])('%s is refused', async (_, how) => {
    upstream.misbehave(how)
    await expectRefused(() => signInAs(newPerson(), source), {
      status: 502,
      moved: refusal(source, 'invalid_id_token'),
    })
  })
})

describe('what a provider may open', () => {
  it('links a verified address of a trusted provider to the account that has it', async () => {
    const user = await addUser(app.database.db)
    const person = newPerson({ email: user.email.toUpperCase() })
    const { result, moved } = await observe(app, () => signInAs(person, 'github'))
    expect([result.status, moved]).toEqual([303, welcome('github', 'linked')])
    const links = await app.database.db
      .select()
      .from(identities)
      .where(eq(identities.userId, user.id))
    expect(links).toMatchObject([{ source: 'github', subject: String(person.id) }])
  })

  const taken = { status: 409, moved: refusal('github', 'email_taken', 'not_admitted') }

  it('links no address that GitHub has not verified', async () => {
    const { email } = await addUser(app.database.db)
    await expectRefused(() => signInAs(newPerson({ email, verified: false }), 'github'), taken)
  })

  it('links no administrator by address', async () => {
    const { email } = await addAdmin(app.database.db)
    await expectRefused(() => signInAs(newPerson({ email }), 'github'), taken)
  })

  it.each(['a provider that nobody trusts', 'the HTTP API'])(
    'takes an address that nobody verified from an account of %s, and gives the account to nobody',
    async (maker) => {
      const { squatter, again } = await addSquatter(maker)
      const owner = newPerson({ email: squatter.email ?? '' })
      const before = await countAudit(app, 'USER_EMAIL_WITHDRAWN')
      expect((await signInAs(owner, 'github')).status).toBe(303)
      const found = await userByEmail(owner.email)
      expect(found).toMatchObject({ username: owner.username, emailVerified: true })
      const [left] = await app.database.db.select().from(users).where(eq(users.id, squatter.id))
      expect(left).toMatchObject({ username: squatter.username, email: null, isActive: true })
      expect(await countAudit(app, 'USER_EMAIL_WITHDRAWN')).toBe(before + 1)
      const [event] = await app.database.db
        .select()
        .from(auditEvents)
        .where(eq(auditEvents.resourceId, squatter.id))
        .orderBy(desc(auditEvents.at))
      expect(event).toMatchObject({ type: 'USER_EMAIL_WITHDRAWN', actorUserId: null })
      // They keep their way in, and do not get the address back by it.
      await again()
      expect((await userByEmail(owner.email))?.id).toBe(found?.id)
    },
  )

  async function addSquatter(maker: string) {
    if (maker === 'the HTTP API') {
      const more = { authSource: 'http_api', passwordHash: null } as const
      return { squatter: await addUser(app.database.db, more), again: async () => {} }
    }
    const person = newPerson()
    await signInAs(person, 'gitea')
    const squatter = await userByEmail(person.email)
    if (!squatter) throw new Error('the squatter has no account')
    const again = async () => expect((await signInAs(person, 'gitea')).status).toBe(303)
    return { squatter, again }
  }

  it('gives an address that nobody verified to one of those who prove it at the same moment', async () => {
    const email = `${crypto.randomUUID()}@up.example.test`
    await signInAs(newPerson({ email }), 'gitea')
    const owners = Array.from({ length: 4 }, () => newPerson({ email }))
    const answers = await Promise.all(owners.map((owner) => signInAs(owner, 'github')))
    expect(answers.map(({ status }) => status)).toEqual(owners.map(() => 303))
    const held = await app.database.db.select().from(users).where(eq(users.email, email))
    expect(held).toMatchObject([{ emailVerified: true }])
    const links = await app.database.db
      .select()
      .from(identities)
      .where(eq(identities.userId, held[0]?.id ?? ''))
    expect(links.map(({ subject }) => subject).sort()).toEqual(
      owners.map(({ id }) => String(id)).sort(),
    )
  })

  it('takes no address from whoever has verified it, or for whoever has not', async () => {
    const owner = newPerson()
    await signInAs(owner, 'github')
    await expectRefused(() => signInAs(newPerson({ email: owner.email }), 'gitea'), {
      status: 409,
      moved: refusal('gitea', 'email_taken', 'not_admitted'),
    })
    const squatter = newPerson()
    await signInAs(squatter, 'gitea')
    const unproven = newPerson({ email: squatter.email, verified: false })
    await expectRefused(() => signInAs(unproven, 'github'), taken)
  })

  it('takes no address for another that merely looks like its capital', async () => {
    const email = `kate-${crypto.randomUUID()}@up.example.test`
    const squatter = newPerson({ email })
    await signInAs(squatter, 'gitea')
    await signInAs(newPerson({ email: email.replace('k', '\u212a') }), 'github')
    expect((await userByEmail(email))?.username).toBe(squatter.username)
  })

  it('links a verified account of the HTTP API', async () => {
    const more = { authSource: 'http_api', passwordHash: null, emailVerified: true } as const
    const { id, email } = await addUser(app.database.db, more)
    expect((await signInAs(newPerson({ email }), 'github')).status).toBe(303)
    expect((await userByEmail(email))?.id).toBe(id)
  })

  it('takes what is no address for none', async () => {
    const email = `a\u0001${crypto.randomUUID()}@up.example.test`
    await expectRefused(() => signInAs(newPerson({ email }), 'github'), {
      status: 403,
      moved: refusal('github', 'email_missing', 'not_admitted'),
    })
  })

  it('takes no letter for another that merely looks like its capital', async () => {
    const username = `kate-${crypto.randomUUID().slice(0, 8)}`
    const user = await addUser(app.database.db, { username, email: `${username}@up.example.test` })
    // KELVIN SIGN, whose lower case is k.
    const person = newPerson({ email: user.email.replace('k', '\u212a') })
    const status = (await signInAs(person, 'github')).status
    const links = await app.database.db
      .select()
      .from(identities)
      .where(eq(identities.userId, user.id))
    expect([[303, 409].includes(status), links]).toEqual([true, []])
  })

  it('has room for the same address in letters that databases fold in their own way', async () => {
    const tail = crypto.randomUUID().slice(0, 8)
    await addUser(app.database.db, { email: `i-${tail}@up.example.test` })
    const email = `\u0130-${tail}@up.example.test`
    expect([303, 409]).toContain((await signInAs(newPerson({ email }), 'github')).status)
  })

  it.each(['gitea', 'gitlab', 'microsoft', 'oidc'])(
    'believes no address that %s calls verified, unless the operator says so',
    async (source) => {
      const { email } = await addUser(app.database.db)
      await expectRefused(() => signInAs(newPerson({ email }), source), {
        status: 409,
        moved: refusal(source, 'email_taken', 'not_admitted'),
      })
    },
  )

  it('keeps people apart whose names are the same', async () => {
    const [first, second] = [newPerson(), newPerson()]
    await signInAs(first, 'github')
    await signInAs({ ...second, username: first.username }, 'github')
    const user = await userByEmail(second.email)
    expect(user?.username).toMatch(new RegExp(`^${first.username}-[a-z0-9]+$`))
  })

  it.each(['administrator', 'Support', 'no-reply', 'root@corp.example'])(
    'calls nobody %s, which is an operator’s to give',
    async (username) => {
      const person = { ...newPerson(), username }
      expect((await signInAs(person, 'github')).status).toBe(303)
      expect((await userByEmail(person.email))?.username).toMatch(/^user(-[a-z0-9]{6})?$/)
    },
  )

  it('makes no account without an address', async () => {
    await expectRefused(() => signInAs(newPerson({ email: undefined }), 'github'), {
      status: 403,
      moved: refusal('github', 'email_missing', 'not_admitted'),
    })
  })

  it('signs nobody in whose profile holds text that cannot be stored', async () => {
    await expectRefused(() => signInAs(newPerson({ email: 'a\0@up.example.test' }), 'github'), {
      status: 502,
      moved: refusal('github', 'profile_failed'),
    })
  })

  it('signs nobody in whose profile cannot be read', async () => {
    upstream.misbehave({ failing: /\/user$/ })
    await expectRefused(() => signInAs(newPerson(), 'gitlab'), {
      status: 502,
      moved: refusal('gitlab', 'profile_failed'),
    })
  })

  it('makes no account where registration is off, and lets known people in', async () => {
    const person = newPerson()
    await signInAs(person, 'gitlab')
    const closed = await startTestApp({
      settings: { ...upstream.settings, OAUTH_AUTO_REGISTER: 'false' },
      replicaOf: app,
    })
    const enter = async (who: Person) => {
      const browser = openBrowser(closed)
      const location = await leave(browser, 'gitlab', '', closed)
      return comeBack(browser, 'gitlab', upstream.approve(location, who))
    }
    expect((await enter(person)).status).toBe(303)
    await expectRefused(() => enter(newPerson()), {
      status: 403,
      moved: refusal('gitlab', 'registration_off', 'not_admitted'),
      from: closed,
    })
    await closed.close()
  })
})

describe('linking from /account/security', () => {
  const path = '/account/security'

  async function member() {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    await browser.signIn(user.username)
    return { user, browser }
  }

  /** Presses the button; answers where the page leads on to. */
  async function askToLink(browser: Browser, source = 'gitea') {
    const response = await browser.submit(path, `${path}/links/${source}`)
    expect(response.status).toBe(200)
    const href = /href="(http[^"]+authorize[^"]+)"/.exec(await response.text())?.[1] ?? ''
    return href.replaceAll('&amp;', '&')
  }

  const linksOf = (userId: string) =>
    app.database.db.select().from(identities).where(eq(identities.userId, userId))

  const counted = (result: string) => ({
    [`auth_oauth_callback_total{provider="gitea",result="${result}"}`]: 1,
  })

  it.each(sources)('links %s to the account, which then opens by it', async (source) => {
    const { user, browser } = await member()
    const person = newPerson({ email: undefined })
    const answer = upstream.approve(await askToLink(browser, source), person)
    const { result, moved } = await observe(app, () => comeBack(browser, source, answer))
    expect(result.headers.get('location')).toBe(`${path}?notice=linked`)
    expect(moved).toEqual({
      [`auth_oauth_callback_total{provider="${source}",result="linked"}`]: 1,
    })
    expect(await (await browser.get(path)).text()).toContain(person.username)
    const other = openBrowser(app)
    await signInAs(person, source, other)
    expect(await (await other.get(path)).text()).toContain(user.username)
  })

  it('is for the very session that asked: not for none, a later one, or another user', async () => {
    const { user, browser } = await member()
    const { browser: stranger, user: other } = await member()
    const answers = await Promise.all(
      [0, 1, 2].map(async () => upstream.approve(await askToLink(browser), newPerson())),
    )
    const back = (at: number) => () =>
      comeBack(browser, 'gitea', answers[at] ?? new URLSearchParams())
    const moved = refusal('gitea', 'bad_state')
    const session = browser.cookies.get('oauth_session') ?? ''
    browser.cookies.delete('oauth_session')
    await expectRefused(back(0), { status: 400, moved })
    browser.cookies.set('oauth_session', stranger.cookies.get('oauth_session') ?? '')
    await expectRefused(back(1), { status: 400, moved })
    browser.cookies.set('oauth_session', session)
    await browser.signIn(user.username)
    await expectRefused(back(2), { status: 400, moved })
    expect([await linksOf(user.id), await linksOf(other.id)]).toEqual([[], []])
  })

  it('refuses what is linked to somebody else, and leaves it there', async () => {
    const person = newPerson()
    await signInAs(person, 'gitea')
    const { user, browser } = await member()
    const answer = upstream.approve(await askToLink(browser), person)
    await expectRefused(() => comeBack(browser, 'gitea', answer), {
      status: 409,
      moved: counted('already_linked'),
      back: 'href="/account/security"',
    })
    expect(await linksOf(user.id)).toEqual([])
  })

  it('gives what two people link at the same moment to one of them', async () => {
    const person = newPerson()
    const members = await Promise.all([member(), member(), member()])
    const answers = await Promise.all(
      members.map(async ({ browser }) => upstream.approve(await askToLink(browser), person)),
    )
    const results = await Promise.all(
      members.map(({ browser }, i) =>
        comeBack(browser, 'gitea', answers[i] ?? new URLSearchParams()),
      ),
    )
    expect(results.map(({ status }) => status).sort()).toEqual([303, 409, 409])
  })

  it('says where a refusal of the provider leads back to', async () => {
    const { browser } = await member()
    const state = new URL(await askToLink(browser)).searchParams.get('state') ?? ''
    const answer = new URLSearchParams({ error: 'access_denied', state })
    await expectRefused(() => comeBack(browser, 'gitea', answer), {
      status: 403,
      moved: counted('access_denied'),
      back: 'href="/account/security"',
    })
  })

  it('says where removing a link is not enough, since an address opens the account again', async () => {
    const { browser } = await member()
    const again = 'signing in with it links it again'
    for (const [source, isSaid] of [
      ['gitea', false],
      ['github', true],
    ] as const) {
      await comeBack(
        browser,
        source,
        upstream.approve(await askToLink(browser, source), newPerson({ email: undefined })),
      )
      expect((await (await browser.get(path)).text()).includes(again)).toBe(isSaid)
    }
  })

  it('ends a link, but not the last way into an account', async () => {
    const browser = openBrowser(app)
    const person = newPerson()
    await signInAs(person, 'gitea', browser)
    const user = await userByEmail(person.email)
    const remove = async (id = '') =>
      (await browser.submit(path, `${path}/links/${id}/remove`)).headers.get('location')
    const [only] = await linksOf(user?.id ?? '')
    expect(await remove(only?.id)).toBe(`${path}?notice=last_way_in`)
    const answer = upstream.approve(await askToLink(browser, 'github'), newPerson())
    await comeBack(browser, 'github', answer)
    expect(await remove(only?.id)).toBe(`${path}?notice=unlinked`)
    expect(await linksOf(user?.id ?? '')).toMatchObject([{ source: 'github' }])
    expect((await signInAs(person, 'gitea')).status).toBe(409)
  })
})

describe('the way there and back', () => {
  it('is on the sign-in page, with where it leads', async () => {
    const page = await (await openBrowser(app).get('/login?redirect=/device')).text()
    for (const source of sources) expect(page).toContain(`href="/auth/login/${source}?redirect=`)
    expect(page).toContain('Continue with Example ID')
  })

  it('carries what was asked for, and whether to remember', async () => {
    const browser = openBrowser(app)
    const person = newPerson()
    const query = '?redirect=%2Fdevice%3Fx%3D1&remember_me=1'
    const answer = upstream.approve(await leave(browser, 'oidc', query), person)
    const response = await comeBack(browser, 'oidc', answer)
    expect(response.headers.get('location')).toBe('/device?x=1')
    expect(response.headers.getSetCookie().join()).toMatch(/oauth_session=.*Max-Age=2592000/)
    const user = await userByEmail(person.email)
    const [session] = await app.database.db
      .select()
      .from(sessions)
      .where(eq(sessions.userId, user?.id ?? ''))
    expect(session?.remembered).toBe(true)
  })

  it.each(['https://evil.example.test/', '//evil.example.test', '/\\evil', 'javascript:alert(1)'])(
    'leads to no other site: %s',
    async (target) => {
      const browser = openBrowser(app)
      const query = `?${new URLSearchParams({ redirect: target })}`
      const answer = upstream.approve(await leave(browser, 'github', query), newPerson())
      const response = await comeBack(browser, 'github', answer)
      expect(response.headers.get('location')).toBe('/account/devices')
    },
  )

  it('serves two tabs that left at the same time', async () => {
    const browser = openBrowser(app)
    const answers = [
      upstream.approve(await leave(browser, 'github'), newPerson()),
      upstream.approve(await leave(browser, 'github'), newPerson()),
    ]
    for (const answer of answers)
      expect((await comeBack(browser, 'github', answer)).status).toBe(303)
  })

  it('answers with 503 while a provider cannot be found', async () => {
    const lost = await startTestApp({
      settings: { ...upstream.settings, OIDC_ISSUER: 'http://127.0.0.1:9' },
      replicaOf: app,
    })
    const browser = openBrowser(lost)
    const { result, moved } = await observeUnchanged(lost, () => browser.get('/auth/login/oidc'))
    expect([result.status, moved]).toEqual([
      503,
      { 'authgate_login_failures_total{reason="upstream"}': 1 },
    ])
    await lost.close()
  })

  it('answers with 503 while a provider does not say where people sign in', async () => {
    upstream.misbehave({ metadata: { authorization_endpoint: undefined } })
    const lost = await startTestApp({ settings: upstream.settings, replicaOf: app })
    const { result } = await observeUnchanged(lost, () => openBrowser(lost).get('/auth/login/oidc'))
    expect(result.status).toBe(503)
    await lost.close()
  })

  it.each(['/token', '/user', '/jwks', '/.well-known/openid-configuration'])(
    'reads no more than it needs of what a provider answers at %s',
    async (path) => {
      upstream.misbehave({ endless: path })
      const fresh = await startTestApp({ settings: upstream.settings, replicaOf: app })
      const source = path === '/user' ? 'github' : 'oidc'
      const browser = openBrowser(fresh)
      const left = await browser.get(`/auth/login/${source}`)
      const location = left.headers.get('location')
      const refused = location
        ? await comeBack(browser, source, upstream.approve(location, newPerson()))
        : left
      expect([502, 503]).toContain(refused.status)
      expect(upstream.written()).toBeLessThan(8 * 1024 * 1024)
      await fresh.close()
    },
  )

  it('does not exist for providers that are not set up, or that there are not', async () => {
    const bare = await startTestApp({ replicaOf: app })
    for (const path of ['/auth/login/github', '/auth/callback/github', '/auth/login/constructor'])
      expect((await openBrowser(bare).get(path)).status).toBe(404)
    expect(await (await openBrowser(bare).get('/login')).text()).not.toContain('/auth/login')
    await bare.close()
  })

  it('is limited for each address, where it fails', async () => {
    const limited = await startTestApp({
      settings: { ...upstream.settings, ENABLE_RATE_LIMIT: 'true', OAUTH_LOGIN_RATE_LIMIT: '1' },
      replicaOf: app,
    })
    const browser = openBrowser(limited)
    expect((await browser.get('/auth/callback/github')).status).toBe(400)
    const { result, moved } = await observe(limited, () => browser.get('/auth/callback/github'))
    expect(result.status).toBe(429)
    expect(moved).toMatchObject({
      'auth_oauth_callback_total{provider="github",result="rate_limited"}': 1,
      'authgate_login_failures_total{reason="rate_limited"}': 1,
    })
    // Setting out is no failure, and whoever comes back as they should is never held up.
    for (let n = 0; n < 3; n += 1)
      expect((await browser.get('/auth/login/github')).status).toBe(303)
    const answer = upstream.approve(await leave(browser, 'github', '', limited), newPerson())
    expect((await comeBack(browser, 'github', answer)).status).toBe(303)
    await limited.close()
  })

  it('forgets a sign-in after ten minutes', async () => {
    const later = await startTestApp({ settings: upstream.settings, replicaOf: app })
    const browser = openBrowser(later)
    const answer = upstream.approve(await leave(browser, 'github', '', later), newPerson())
    later.advance(601_000)
    expect((await comeBack(browser, 'github', answer)).status).toBe(400)
    await later.close()
  })

  it('leaves no token of a provider in any table', async () => {
    await signInAs(newPerson(), 'oidc')
    const tokens = upstream.tokens.slice(-2)
    expect(tokens).toHaveLength(2)
    const { db } = app.database
    const tables = rowsOf(
      await db.execute(
        sql`select table_name as name from information_schema.tables where table_schema = 'public'`,
      ),
    )
    expect(tables.length).toBeGreaterThan(10)
    for (const { name } of tables) {
      for (const token of tokens) {
        const query = `select 1 from "${name}" t where to_jsonb(t)::text like '%${token}%'`
        expect(rowsOf(await db.execute(sql.raw(query)))).toEqual([])
      }
    }
  })
})
