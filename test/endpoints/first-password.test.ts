/** A password that an administrator chose is good for one thing: choosing another one. */
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sessions } from '#/database/schema/sessions.ts'
import { users } from '#/database/schema/users.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { answerConsent, authorizePath, parametersOf } from '../support/flow.ts'
import { addAdmin, addClient, addUser, testPassword } from '../support/people.ts'

let app: TestApp
let admin: Browser
let clientId: string
beforeAll(async () => {
  app = await startTestApp()
  admin = openBrowser(app)
  await admin.signIn((await addAdmin(app.database.db)).username)
  clientId = (await addClient(app.database.db)).client.clientId
})
afterAll(() => app.close())

const chosen = 'seven purple kettles'
const page = '/account/password'

const change = (more: Record<string, string> = {}) => ({
  current_password: testPassword,
  new_password: chosen,
  new_password_again: chosen,
  ...more,
})

/** Somebody whose password is an administrator's choice, signed in with it. */
async function held(more: Parameters<typeof addUser>[1] = {}) {
  const user = await addUser(app.database.db, { passwordMustChange: true, ...more })
  const browser = openBrowser(app)
  expect((await browser.signIn(user.username)).status).toBe(303)
  return { user, browser }
}

const passwordIn = (html: string) => /<dt>Password<\/dt><dd><code>([^<]+)/.exec(html)?.[1] ?? ''
const rowOf = async (id: string) =>
  (await app.database.db.select().from(users).where(eq(users.id, id)))[0]
const leadsTo = async (response: Response | Promise<Response>) =>
  (await response).headers.get('location') ?? ''

describe('somebody whose password an administrator has chosen', () => {
  it.each(['/', '/account/devices', '/account/security', '/apps', '/device?user_code=BCDF-GHJK'])(
    'sees nothing at %s, and comes back to it with a password of their own',
    async (path) => {
      const { user, browser } = await held()
      const wanted = path === '/' ? '/account/devices' : path
      expect(await leadsTo(browser.get(wanted))).toBe(
        `${page}?${new URLSearchParams({ redirect: wanted })}`,
      )
      const form = await browser.get(await leadsTo(browser.get(wanted)))
      const redirect = hiddenField(await form.clone().text(), 'redirect').replaceAll('&amp;', '&')
      const csrf_token = csrfTokenOf(await form.text())
      const done = await browser.post(page, { csrf_token, redirect, ...change() })
      expect([done.status, await leadsTo(done)]).toEqual([303, wanted])
      expect((await browser.get(wanted)).status).toBe(200)
      expect((await rowOf(user.id))?.passwordMustChange).toBe(false)
      expect(await leadsTo(browser.get(page))).toBe('/account/devices')
    },
  )

  it('is an administrator nowhere, and cannot send a form', async () => {
    const { browser } = await held({ role: 'admin' })
    expect(await leadsTo(browser.get('/admin/users'))).toContain(page)
    const csrf_token = csrfTokenOf(await (await browser.get(page)).text())
    for (const path of ['/admin/users', '/apps', '/device/verify', '/device/decide'])
      expect(await leadsTo(browser.post(path, { csrf_token, user_code: 'BCDF-GHJK' }))).toBe(page)
  })

  it('gives a client a code only with a password of their own, for the request that waited', async () => {
    const { browser } = await held()
    const asked = await leadsTo(browser.get(authorizePath(clientId)))
    const form = await (await browser.get(asked)).text()
    const redirect = hiddenField(form, 'redirect')
    const id = new URL(redirect, 'http://self').searchParams.get('authorization_request') ?? ''
    const csrf_token = csrfTokenOf(form)
    const early = { csrf_token, authorization_request: id, action: 'approve' }
    const before = await browser.post('/oauth/authorize', early)
    expect([before.status, await leadsTo(before)]).toEqual([303, redirect])
    expect(await leadsTo(browser.get(redirect))).toBe(asked)
    const done = await browser.post(page, { csrf_token, redirect, ...change() })
    expect(await leadsTo(done)).toBe(redirect)
    const sent = await answerConsent(browser, await browser.get(redirect), 'approve')
    expect(parametersOf(sent)).toMatchObject({ code: expect.any(String), state: 'state-1' })
  })

  it('is no error page for a client that may show none', async () => {
    const { browser } = await held()
    const sent = await browser.get(authorizePath(clientId, { prompt: 'none' }))
    expect(parametersOf(sent)).toMatchObject({ error: 'interaction_required', state: 'state-1' })
  })

  it('may sign out', async () => {
    const { browser } = await held()
    expect(await leadsTo(browser.submit(page, '/logout'))).toBe('/login')
    expect(await leadsTo(browser.get(page))).toContain('/login')
  })

  it.each([
    ['the given one again', { new_password: testPassword, new_password_again: testPassword }],
    ['one that many have', { new_password: 'password', new_password_again: 'password' }],
    ['a wrong given one', { current_password: 'not the password' }],
  ])('is asked again after %s', async (_, wrong) => {
    const { user, browser } = await held()
    const answer = await browser.submit(page, page, { redirect: '/apps', ...change(wrong) })
    const text = await answer.text()
    expect([answer.status, hiddenField(text, 'redirect')]).toEqual([400, '/apps'])
    expect(text).toMatch(/id="(new|current)_password-error"/)
    expect((await rowOf(user.id))?.passwordMustChange).toBe(true)
  })

  it('is nobody who came in by another way', async () => {
    const { user, browser } = await held()
    await app.database.db
      .update(sessions)
      .set({ loginSource: 'github' })
      .where(eq(sessions.userId, user.id))
    expect((await browser.get('/account/devices')).status).toBe(200)
  })

  it.each(['a new account', 'a reset'])('is who got it by %s', async (way) => {
    const user = await addUser(app.database.db)
    const username = way === 'a reset' ? user.username : `new-${user.username}`
    const made =
      way === 'a reset'
        ? await admin.submit('/admin/users', `/admin/users/${user.id}/reset-password`)
        : await admin.submit('/admin/users', '/admin/users', {
            username,
            email: `${username}@example.test`,
          })
    const browser = openBrowser(app)
    await browser.signIn(username, { password: passwordIn(await made.text()) })
    expect(await leadsTo(browser.get('/account/devices'))).toContain(page)
  })
})

describe('the session of somebody who changes their password', () => {
  async function changeWhereSignedIn() {
    const user = await addUser(app.database.db)
    const browser = openBrowser(app)
    await browser.signIn(user.username, { remember_me: '1' })
    const stolen = browser.clone()
    const csrf_token = csrfTokenOf(await (await browser.get('/account/security')).text())
    const twice = browser.clone()
    const path = '/account/security/password'
    const done = await browser.post(path, { csrf_token, ...change() })
    expect(await leadsTo(done)).toContain('notice=password_changed')
    return { user, browser, stolen, second: () => twice.post(path, { csrf_token, ...change() }) }
  }

  it('goes on under another id with its deadline, and a cookie from before is dead', async () => {
    const { user, browser, stolen } = await changeWhereSignedIn()
    expect((await browser.get('/account/devices')).status).toBe(200)
    expect(await leadsTo(stolen.get('/account/devices'))).toContain('/login')
    const rows = await app.database.db.select().from(sessions).where(eq(sessions.userId, user.id))
    const [old, live] = rows.sort((a, b) => Number(!a.endedAt) - Number(!b.endedAt))
    expect(rows).toHaveLength(2)
    expect([old?.endReason, live?.endedAt, live?.remembered]).toEqual(['replaced', null, true])
    expect(live?.expiresAt).toEqual(old?.expiresAt)
  })

  it('is not signed out by the second press of the button', async () => {
    const { second } = await changeWhereSignedIn()
    const answer = await second()
    expect(await leadsTo(answer)).toContain('/login')
    expect(answer.headers.getSetCookie()).toEqual([])
  })
})
