/** What operators do to clients: what ends with it, in rows and in counters. */
import { and, eq, gt, inArray, isNull } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authorizationCodes } from '#/database/schema/authorization-codes.ts'
import { consents } from '#/database/schema/consents.ts'
import { deviceCodes } from '#/database/schema/device-codes.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { findClient } from '#/domain/clients/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { redirectUri } from '../support/client.ts'
import { addApproved, askForCodes } from '../support/devices.ts'
import { obtainCode, obtainTokens, postToken, redeemCode } from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { countAudit, observe, observeUnchanged } from './refusals.ts'

let app: TestApp
let admin: Browser
beforeAll(async () => {
  app = await startTestApp()
  admin = openBrowser(app)
  await admin.signIn((await addAdmin(app.database.db)).username)
})
afterAll(() => app.close())

/** A client that two people use: four tokens, two consents, one code, and three open device codes. */
async function addUsedClient() {
  const { db } = app.database
  const { clientId } = (
    await addClient(db, {
      grantTypes: [
        'authorization_code',
        'refresh_token',
        'urn:ietf:params:oauth:grant-type:device_code',
      ],
    })
  ).client
  const people = [openBrowser(app), openBrowser(app)]
  for (const person of people) {
    await person.signIn((await addUser(db)).username)
    await obtainTokens(app, person, clientId)
  }
  const [first] = people
  const code = first ? await obtainCode(first, clientId) : ''
  await askForCodes(db, clientId)
  await askForCodes(db, clientId)
  return { clientId, code, person: first }
}

/** What a client has that is worth something. */
async function held(clientId: string) {
  const { db } = app.database
  const now = app.now()
  const live = and(
    eq(tokens.clientId, clientId),
    isNull(tokens.revokedAt),
    gt(tokens.expiresAt, now),
  )
  const open = inArray(deviceCodes.status, ['pending', 'approved'])
  const unused = isNull(authorizationCodes.consumedAt)
  return {
    tokens: await db.$count(tokens, live),
    consents: await db.$count(
      consents,
      and(eq(consents.clientId, clientId), isNull(consents.revokedAt)),
    ),
    codes: await db.$count(
      authorizationCodes,
      and(eq(authorizationCodes.clientId, clientId), unused),
    ),
    devices: await db.$count(deviceCodes, and(eq(deviceCodes.clientId, clientId), open)),
  }
}

const all = { tokens: 4, consents: 2, codes: 1, devices: 2 }
const nothing = { tokens: 0, consents: 0, codes: 0, devices: 0 }

const send = (clientId: string, verb: string) =>
  admin.submit('/admin/clients', `/admin/clients/${clientId}/${verb}`)

const ended = (reason: string) => ({
  [`oauth_tokens_revoked_total{reason="${reason}",token_type="access"}`]: 2,
  [`oauth_tokens_revoked_total{reason="${reason}",token_type="refresh"}`]: 2,
  'oauth_tokens_active{token_type="access"}': -2,
  'oauth_tokens_active{token_type="refresh"}': -2,
  'authgate_device_codes_ended_total{result="denied"}': 2,
  oauth_device_codes_active: -2,
  oauth_device_codes_pending_authorization: -2,
})
const consentsEnded = {
  'oauth_consent_revoked_total{actor="admin"}': 2,
  authgate_consents_active: -2,
}
const decided = (decision: string) => ({
  [`authgate_client_decisions_total{decision="${decision}"}`]: 1,
})
const population = (status: string, change: number) => ({
  [`authgate_oauth_clients_registered{status="${status}"}`]: change,
})

describe('a client that an operator', () => {
  it('disables keeps its consents and nothing else', async () => {
    const { clientId, code } = await addUsedClient()
    expect(await held(clientId)).toEqual(all)
    const { moved } = await observe(app, () => send(clientId, 'disable'))
    expect(moved).toEqual({
      ...ended('client_inactive'),
      ...decided('disabled'),
      ...population('active', -1),
      ...population('inactive', 1),
    })
    expect(await held(clientId)).toEqual({ ...nothing, consents: 2 })
    await send(clientId, 'enable')
    expect(await held(clientId)).toEqual({ ...nothing, consents: 2 })
    expect((await redeemCode(app, clientId, code)).status).toBe(400)
  })

  it('deletes is gone with all that it was given', async () => {
    const { clientId } = await addUsedClient()
    const { moved } = await observe(app, () => send(clientId, 'delete'))
    expect(moved).toEqual({
      ...ended('client_inactive'),
      ...consentsEnded,
      ...decided('deleted'),
      ...population('active', -1),
    })
    expect(await held(clientId)).toEqual(nothing)
    expect(await findClient(app.database.db, clientId)).toBeUndefined()
  })

  it('takes everything from stays active, and may ask again', async () => {
    const { clientId, code, person } = await addUsedClient()
    const before = await countAudit(app, 'CLIENT_ACCESS_REVOKED')
    const { moved } = await observe(app, () => send(clientId, 'revoke-all'))
    expect(moved).toEqual({ ...ended('admin_request'), ...consentsEnded })
    expect(await held(clientId)).toEqual(nothing)
    expect(await countAudit(app, 'CLIENT_ACCESS_REVOKED')).toBe(before + 1)
    expect((await redeemCode(app, clientId, code)).status).toBe(400)
    const again = person && (await obtainTokens(app, person, clientId))
    expect(again?.access_token).toBeTypeOf('string')
  })

  it('loses device codes that were approved and not redeemed, too', async () => {
    const { db } = app.database
    const { clientId } = await addUsedClient()
    const user = await addUser(db)
    await addApproved(db, user, clientId)
    const { moved } = await observe(app, () => send(clientId, 'delete'))
    expect(moved['authgate_device_codes_ended_total{result="denied"}']).toBe(3)
    expect(moved['oauth_device_codes_active']).toBe(-3)
    expect(moved['oauth_device_codes_pending_authorization']).toBe(-2)
  })
})

describe('POST /admin/clients/:id', () => {
  const edit = async (clientId: string, changes: Record<string, string> = {}) => {
    const page = await (await admin.get(`/admin/clients/${clientId}/edit`)).text()
    const fields = {
      csrf_token: csrfTokenOf(page),
      seen: hiddenField(page, 'seen'),
      client_name: 'Renamed',
      token_endpoint_auth_method: 'none',
      grant_types: 'authorization_code refresh_token',
      redirect_uris: redirectUri,
      scope: 'openid profile email offline_access',
      ...changes,
    }
    return { fields, answer: await admin.post(`/admin/clients/${clientId}`, fields) }
  }

  it('changes what the form shows and keeps what it does not', async () => {
    const { db } = app.database
    const more = { tosUri: 'https://app.example.test/terms', contacts: ['ops@example.test'] }
    const { client } = await addClient(db, more)
    const { result, moved } = await observe(app, () => edit(client.clientId))
    expect(result.answer.headers.get('location')).toBe('/admin/clients?notice=updated')
    expect(moved).toEqual(decided('updated'))
    const after = await findClient(db, client.clientId)
    expect(after).toEqual({
      ...client,
      name: 'Renamed',
      nameSkeleton: 'renarned',
      updatedAt: after?.updatedAt,
      version: after?.version,
    })
  })

  it('ends what is wider than before and leaves the rest', async () => {
    const { clientId, code } = await addUsedClient()
    await edit(clientId)
    expect((await held(clientId)).tokens).toBe(4)
    const { moved } = await observe(app, () => edit(clientId, { scope: 'openid' }))
    expect(moved).toMatchObject({
      'oauth_tokens_revoked_total{reason="admin_request",token_type="access"}': 2,
      'oauth_tokens_revoked_total{reason="admin_request",token_type="refresh"}': 2,
    })
    expect(await held(clientId)).toEqual({ ...nothing, consents: 2 })
    expect((await redeemCode(app, clientId, code)).status).toBe(400)
  })

  it('ends what is for a resource that the client may not ask for any more', async () => {
    const [kept, lost] = ['https://kept.example.test/', 'https://lost.example.test/']
    const { clientId } = (await addClient(app.database.db, { allowedResources: [kept, lost] }))
      .client
    const person = openBrowser(app)
    await person.signIn((await addUser(app.database.db)).username)
    const of = (resource: string) => obtainTokens(app, person, clientId, { resource })
    const [before, after] = [await of(lost), await of(kept)]
    const { moved } = await observe(app, () => edit(clientId, { allowed_resources: kept }))
    expect(moved).toEqual({
      ...decided('updated'),
      'oauth_tokens_revoked_total{reason="admin_request",token_type="access"}': 1,
      'oauth_tokens_revoked_total{reason="admin_request",token_type="refresh"}': 1,
      'oauth_tokens_active{token_type="access"}': -1,
      'oauth_tokens_active{token_type="refresh"}': -1,
    })
    const refresh = ({ refresh_token }: typeof before) =>
      postToken(app, { grant_type: 'refresh_token', client_id: clientId, refresh_token })
    expect([(await refresh(before)).status, (await refresh(after)).status]).toEqual([400, 200])
  })

  it('ends refresh tokens alone when the client may not refresh any more', async () => {
    const { clientId } = await addUsedClient()
    const { moved } = await observe(app, () =>
      edit(clientId, { grant_types: 'authorization_code' }),
    )
    expect(moved['oauth_tokens_active{token_type="refresh"}']).toBe(-2)
    expect((await held(clientId)).tokens).toBe(2)
  })

  it('shows a new secret once, and forgets it with the need for it', async () => {
    const { db } = app.database
    const { clientId } = (await addClient(db)).client
    const { answer } = await edit(clientId, { token_endpoint_auth_method: 'client_secret_basic' })
    expect(await answer.text()).toContain('Client secret')
    expect((await findClient(db, clientId))?.secretHash).toBeTypeOf('string')
    expect((await findClient(db, clientId))?.type).toBe('confidential')
    await edit(clientId)
    expect((await findClient(db, clientId))?.secretHash).toBeNull()
  })

  it('turns a web client into a native one, which may have a loopback URI, and back', async () => {
    const loopback = 'http://127.0.0.1/callback'
    const { clientId } = (await addClient(app.database.db)).client
    const typeOf = async () => (await findClient(app.database.db, clientId))?.applicationType
    const page = await (await admin.get(`/admin/clients/${clientId}/edit`)).text()
    expect(page).toMatch(/<option value="web" selected>/)
    for (const more of [{}, { application_type: 'web' }]) {
      const refused = (await edit(clientId, { ...more, redirect_uris: loopback })).answer
      expect(refused.status).toBe(400)
      expect(await refused.text()).toContain('must be https for web clients')
    }
    await edit(clientId, { redirect_uris: loopback, application_type: 'native' })
    expect(await typeOf()).toBe('native')
    await edit(clientId, { redirect_uris: loopback })
    expect(await typeOf()).toBe('native')
    await edit(clientId, { application_type: '' })
    expect(await typeOf()).toBe('web')
  })

  it('overwrites nothing that has changed since it was looked at', async () => {
    const { clientId } = (await addClient(app.database.db)).client
    const { fields } = await edit(clientId)
    const { result, moved } = await observeUnchanged(app, () =>
      admin.post(`/admin/clients/${clientId}`, { ...fields, client_name: 'Lost' }),
    )
    expect(result.headers.get('location')).toBe('/admin/clients?notice=changed')
    expect(moved).toEqual({})
  })

  it.each([
    ['client_name', ''],
    ['client_name', 'x'.repeat(101)],
    ['token_endpoint_auth_method', 'telepathy'],
    ['redirect_uris', 'http://app.example.test/'],
    ['grant_types', 'password'],
    ['application_type', 'spa'],
    ['scope', ''],
    ['jwks', '{'],
    ['token_profile', 'forever'],
    ['refresh_token_mode', 'fixed'],
  ])('refuses %s %j with the form as it was sent', async (name, value) => {
    const { clientId } = (await addClient(app.database.db)).client
    const { result, moved } = await observeUnchanged(app, () => edit(clientId, { [name]: value }))
    expect(result.answer.status).toBe(400)
    expect(await result.answer.text()).toContain(`value="${result.fields.seen}"`)
    expect(moved).toEqual({})
  })
})

describe('several operators at once', () => {
  it.each(['disable', 'delete', 'revoke-all'])('%s counts each row once', async (verb) => {
    const { clientId } = await addUsedClient()
    const csrf_token = csrfTokenOf(await (await admin.get('/admin/clients')).text())
    const before = await countAudit(app, 'CLIENT_DELETED')
    const { moved } = await observe(app, () =>
      Promise.all(
        Array.from({ length: 6 }, () =>
          admin.post(`/admin/clients/${clientId}/${verb}`, { csrf_token }),
        ),
      ),
    )
    expect(moved).toMatchObject(ended(verb === 'revoke-all' ? 'admin_request' : 'client_inactive'))
    expect(moved['oauth_consent_revoked_total{actor="admin"}']).toBe(
      verb === 'disable' ? undefined : 2,
    )
    expect(await countAudit(app, 'CLIENT_DELETED')).toBe(before + (verb === 'delete' ? 1 : 0))
  })

  it('leave nothing alive that was issued meanwhile', async () => {
    const { clientId, person } = await addUsedClient()
    const csrf_token = csrfTokenOf(await (await admin.get('/admin/clients')).text())
    const codes = await Promise.all(
      Array.from({ length: 5 }, () => (person ? obtainCode(person, clientId) : '')),
    )
    await Promise.all([
      ...codes.map((code) => redeemCode(app, clientId, code)),
      admin.post(`/admin/clients/${clientId}/disable`, { csrf_token }),
    ])
    expect(await held(clientId)).toEqual({ ...nothing, consents: 2 })
  })
})

it.each(['delete', 'revoke-all'])(
  '%s of a client that is not there changes nothing',
  async (verb) => {
    for (const id of [crypto.randomUUID(), 'x', '%01', "'--"]) {
      const { result, moved } = await observeUnchanged(app, () => send(id, verb))
      expect([result.status, result.headers.get('location')]).toEqual([303, '/admin/clients'])
      expect(moved).toEqual({})
    }
  },
)

describe('GET /admin/clients', () => {
  const list = async (path: string) => (await admin.get(path)).text()
  const idsIn = (page: string) =>
    [...page.matchAll(/Client ID <code class="selectable">([^<]+)</g)].map(([, id]) => id)

  it('leads through all clients of a name, each once, however many', async () => {
    const { db } = app.database
    const expected: string[] = []
    // Equal names, and both sizes of letters.
    for (let n = 0; n < 120; n += 1) {
      const name = n % 3 ? `Paged 100% é ${n}` : 'pAGED 100% É'
      expected.push((await addClient(db, { name })).client.clientId)
    }
    await addClient(db, { name: 'Paged 1000' })
    const found: (string | undefined)[] = []
    let next: string | undefined = '/admin/clients?search=PAGED+100%25&status=active'
    const sizes: number[] = []
    while (next) {
      const page = await list(next)
      const ids = idsIn(page)
      found.push(...ids)
      sizes.push(ids.length)
      next = /class="paging"><a class="button" href="([^"]+)"/
        .exec(page)?.[1]
        ?.replaceAll('&amp;', '&')
    }
    expect(sizes).toEqual([50, 50, 20])
    expect(found.toSorted()).toEqual(expected.toSorted())
  })

  it('finds one by its id, and only in its status', async () => {
    const { clientId } = (await addClient(app.database.db)).client
    const search = `/admin/clients?search=${clientId.toUpperCase()}`
    expect(idsIn(await list(search))).toEqual([clientId])
    expect(await list(`${search}&status=inactive`)).toContain('No clients found')
  })

  it('shows 50 of those that wait, tells of the others, and leads to them', async () => {
    for (let n = 0; n < 52; n += 1)
      await addClient(app.database.db, { name: `Waits ${n}`, status: 'pending' })
    const start = await list('/admin/clients')
    expect(start).toMatch(/Showing the oldest 50 of 5\d\./)
    expect(start.match(/\/approve"/g)).toHaveLength(50)
    const rest = await list('/admin/clients?status=pending&search=waits')
    expect(rest.match(/\/approve"/g)).toHaveLength(50)
    expect(rest).toContain('Next page')
  })

  it.each([
    'status=gone',
    'search=%00',
    'after_id=%00',
    'after_id=x&after_name=%00',
    `search=${'x'.repeat(101)}`,
  ])('refuses to be asked for %s', async (query) => {
    expect((await admin.get(`/admin/clients?${query}`)).status).toBe(400)
  })
})

describe('one client', () => {
  it('shows what it holds and leads to those who let it in', async () => {
    const { clientId } = await addUsedClient()
    const page = await (await admin.get(`/admin/clients/${clientId}`)).text()
    expect(page).toContain(`<a href="/admin/tokens?client=${clientId}">4</a>`)
    expect(page).toContain(`<a href="/admin/clients/${clientId}/authorizations">2</a>`)
    expect((await admin.get(`/admin/clients/${crypto.randomUUID()}`)).status).toBe(404)
  })

  it('loses one person: their tokens end, the others stay, the operator is named', async () => {
    const { clientId } = await addUsedClient()
    const path = `/admin/clients/${clientId}/authorizations`
    const { db } = app.database
    const [consent, other] = await db.select().from(consents).where(eq(consents.clientId, clientId))
    const { result, moved } = await observe(app, () =>
      admin.submit(path, `${path}/${consent?.id}/revoke`),
    )
    expect(result.headers.get('location')).toBe(`${path}?notice=revoked`)
    expect(moved).toMatchObject({
      'oauth_consent_revoked_total{actor="admin"}': 1,
      authgate_consents_active: -1,
      'oauth_tokens_revoked_total{reason="consent_revoked",token_type="access"}': 1,
      'oauth_tokens_revoked_total{reason="consent_revoked",token_type="refresh"}': 1,
    })
    const live = await db
      .select()
      .from(tokens)
      .where(and(eq(tokens.clientId, clientId), isNull(tokens.revokedAt)))
    expect(live.map(({ userId }) => userId)).toEqual([other?.userId, other?.userId])
    // A consent to another client is none of this one's.
    const foreign = await addUsedClient()
    const again = await observeUnchanged(app, async () => [
      await admin.submit(path, `${path}/${consent?.id}/revoke`),
      await admin.submit(
        path,
        `/admin/clients/${foreign.clientId}/authorizations/${other?.id}/revoke`,
      ),
    ])
    expect(again.moved).toEqual({})
  })

  it('shows each of 120 people once, page by page, also those of the same moment', async () => {
    const { db } = app.database
    const { clientId } = (await addClient(db)).client
    const people = await Promise.all(Array.from({ length: 120 }, () => addUser(db)))
    const grantedAt = app.now()
    await db
      .insert(consents)
      .values(people.map(({ id }) => ({ userId: id, clientId, scope: 'openid', grantedAt })))
    const base = `/admin/clients/${clientId}/authorizations`
    const seen: string[] = []
    let query: string | undefined = ''
    while (query !== undefined) {
      const page = await (await admin.get(`${base}${query}`)).text()
      seen.push(
        ...[...page.matchAll(/authorizations\/([0-9a-f-]{36})\/revoke/g)].map(([, id = '']) => id),
      )
      query = page.match(/href="(\?after=[^"]*)"/)?.[1]
    }
    expect([seen.length, new Set(seen).size]).toEqual([120, 120])
    expect((await admin.get(`${base}?after=x`)).status).toBe(400)
  })
})
