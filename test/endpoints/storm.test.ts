/**
 * People, apps, administrators and devices do whatever they may, all at once and on two replicas whose clocks differ.
 * Afterwards nothing is alive that its client, consent, person or session does not allow any more.
 * By hand for longer: STORM_TURNS=2000 STORM_SEED=7 npm test -- test/endpoints/storm.test.ts
 */
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { deviceCodeGrantType, tokenExchangeGrantType } from '#/protocol/grant-types.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, csrfTokenOf, hiddenField, openBrowser } from '../support/browser.ts'
import { onPostgres } from '../support/database.ts'
import {
  answerConsent,
  answerDevice,
  authorizePath,
  postToken,
  redeemCode,
} from '../support/flow.ts'
import { addAdmin, addClient, addUser } from '../support/people.ts'
import { rowsOf } from './refusals.ts'

const workers = 9
const turns = Number(process.env['STORM_TURNS'] ?? (onPostgres ? 40 : 8))
const seed = Number(process.env['STORM_SEED'] ?? Date.now() % 1_000_000)

let replicas: readonly [TestApp, TestApp]
beforeAll(async () => {
  const app = await startTestApp()
  const other = await startTestApp({ replicaOf: app })
  other.advance(5000)
  replicas = [app, other]
})
afterAll(async () => {
  await replicas[1].close()
  await replicas[0].close()
})

interface Person {
  readonly id: string
  readonly username: string
}

interface App {
  readonly clientId: string
  /** Empty for public clients. */
  secret: string
  /** What the administrator's form says besides the scope. */
  readonly form: Readonly<Record<string, string>>
}

interface World {
  readonly people: readonly Person[]
  readonly web: App
  readonly api: App
  readonly device: App
  readonly admin: Browser
}

/** What one worker knows: a browser, and whatever it has been given. */
interface Worker {
  readonly world: World
  readonly app: TestApp
  readonly browser: Browser
  readonly pick: <T>(from: readonly T[]) => T
  readonly refresh: { clientId: string; token: string }[]
  readonly access: { clientId: string; token: string }[]
}

const scopes = ['openid offline_access', 'openid profile email offline_access', 'openid email']

/** The client's credentials, where it has some. */
const credentials = ({ clientId, secret }: App) => ({
  client_id: clientId,
  ...(secret !== '' && { client_secret: secret }),
})

async function keep({ refresh, access }: Worker, clientId: string, response: Response) {
  if (!response.ok) return response
  const answer = (await response.json()) as { access_token: string; refresh_token?: string }
  access.push({ clientId, token: answer.access_token })
  if (answer.refresh_token) refresh.push({ clientId, token: answer.refresh_token })
  return response
}

async function pressOne(browser: Browser, page: string, form: RegExp, pick: Worker['pick']) {
  const html = await (await browser.get(page)).text()
  const found = html.match(form) ?? []
  return found.length > 0 ? browser.post(pick(found), { csrf_token: csrfTokenOf(html) }) : undefined
}

async function submitForm(admin: Browser, page: string, verb: string) {
  const html = await (await admin.get(page)).text()
  const fields = { csrf_token: csrfTokenOf(html), seen: hiddenField(html, 'seen') }
  return admin.post(`${page}/${verb}`, fields)
}

async function changeScope(admin: Browser, { clientId, form }: App, scope: string) {
  const page = `/admin/clients/${clientId}`
  const html = await (await admin.get(`${page}/edit`)).text()
  const fields = { csrf_token: csrfTokenOf(html), seen: hiddenField(html, 'seen') }
  return admin.post(page, { ...fields, ...form, scope })
}

type Action = (worker: Worker) => Promise<Response | undefined>

const actions = {
  signIn: ({ browser, pick, world }) => browser.signIn(pick(world.people).username),
  signOut: ({ browser }) => browser.signOut(),
  async authorize(worker) {
    const { app, browser, pick, world } = worker
    const client = pick([world.web, world.api])
    const asked = await browser.get(authorizePath(client.clientId, { scope: pick(scopes) }))
    const sent = asked.status === 200 ? await answerConsent(browser, asked, 'approve') : asked
    const code = /[?&]code=([^&]+)/.exec(sent.headers.get('location') ?? '')?.[1]
    if (code === undefined) return sent
    const secret = client.secret === '' ? {} : { client_secret: client.secret }
    return keep(worker, client.clientId, await redeemCode(app, client.clientId, code, secret))
  },
  async refresh(worker) {
    const { app, pick, refresh, world } = worker
    const presented = refresh.length > 0 ? pick(refresh) : undefined
    if (!presented) return undefined
    const client = [world.web, world.api, world.device].find(
      ({ clientId }) => clientId === presented.clientId,
    )
    if (!client) return undefined
    const fields = { grant_type: 'refresh_token', refresh_token: presented.token }
    return keep(
      worker,
      client.clientId,
      await postToken(app, { ...fields, ...credentials(client) }),
    )
  },
  async exchange(worker) {
    const { app, pick, access, world } = worker
    const own = access.filter(({ clientId }) => clientId === world.api.clientId)
    if (own.length === 0) return undefined
    const fields = {
      grant_type: tokenExchangeGrantType,
      subject_token: pick(own).token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    }
    const response = await postToken(app, { ...fields, ...credentials(world.api) })
    return keep(worker, world.api.clientId, response)
  },
  async forItself(worker) {
    const { app, world } = worker
    const fields = { grant_type: 'client_credentials', ...credentials(world.api) }
    // It stands for no user: nothing to exchange.
    return keep(worker, '', await postToken(app, fields))
  },
  async device(worker) {
    const { app, browser, world } = worker
    const { clientId } = world.device
    const asked = await app.request('/oauth/device/code', {
      method: 'POST',
      body: new URLSearchParams({ client_id: clientId, scope: 'openid offline_access' }),
    })
    if (!asked.ok) return asked
    const { device_code, user_code } = (await asked.json()) as Record<string, string>
    await answerDevice(browser, user_code ?? '', 'approve')
    const fields = { grant_type: deviceCodeGrantType, device_code: device_code ?? '' }
    return keep(worker, clientId, await postToken(app, { ...fields, client_id: clientId }))
  },
  async revoke({ app, pick, access, world }) {
    if (access.length === 0) return undefined
    const fields = { token: pick(access).token, ...credentials(pick([world.web, world.api])) }
    return app.request('/oauth/revoke', { method: 'POST', body: new URLSearchParams(fields) })
  },
  withdraw: ({ browser, pick }) =>
    pressOne(
      browser,
      '/account/authorizations',
      /\/account\/authorizations\/[\w-]+\/revoke/g,
      pick,
    ),
  endFamily: ({ browser, pick }) =>
    pressOne(browser, '/account/tokens', /\/account\/tokens\/[\w-]+\/revoke/g, pick),
  signOutOthers: ({ browser }) =>
    browser.submit('/account/devices', '/account/devices/revoke-others'),
  async disableUser({ world: { admin, people }, pick }) {
    const page = `/admin/users/${pick(people).id}`
    await admin.submit(page, `${page}/disable`)
    return admin.submit(page, `${page}/enable`)
  },
  async disableClient({ world: { admin, web, api, device }, pick }) {
    const page = `/admin/clients/${pick([web, api, device]).clientId}`
    await submitForm(admin, page, 'disable')
    return submitForm(admin, page, 'enable')
  },
  async narrow({ world: { admin, web, api, device }, pick }) {
    const client = pick([web, api, device])
    await changeScope(admin, client, pick(scopes))
    return changeScope(admin, client, 'openid profile email offline_access')
  },
  async replaceSecret({ world: { admin, api } }) {
    const page = `/admin/clients/${api.clientId}`
    const answer = await submitForm(admin, page, 'regenerate-secret')
    api.secret =
      /Client secret<\/dt><dd><code>([^<]+)</.exec(await answer.text())?.[1] ?? api.secret
    return answer
  },
  cutOff: ({ world, pick }) => {
    const { clientId } = pick([world.web, world.api, world.device])
    return submitForm(world.admin, `/admin/clients/${clientId}`, 'revoke-all')
  },
} satisfies Record<string, Action>

/** What gives access happens more often than what takes it away, or there would be little to take. */
const names = Object.keys(actions) as (keyof typeof actions)[]
const giving = [
  'signIn',
  'authorize',
  'authorize',
  'refresh',
  'refresh',
  'exchange',
  'device',
] as const
const deck = [...names, ...giving, ...giving, ...giving]

/** Numbers that a seed decides (mulberry32). */
function dice(from: number) {
  let state = from
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T
}

const redirect_uris = 'https://app.example.test/callback'

async function createWorld(): Promise<World> {
  const { db } = replicas[0].database
  const create = async (more: Parameters<typeof addClient>[1], form: Record<string, string>) => {
    const { client, secret } = await addClient(db, { requirePkce: false, ...more })
    const kind = { client_name: client.name, application_type: 'web', ...form }
    return { clientId: client.clientId, secret: secret ?? '', form: kind }
  }
  const grants = [
    'authorization_code',
    'refresh_token',
    'client_credentials',
    tokenExchangeGrantType,
  ]
  const admin = openBrowser(replicas[0])
  await admin.signIn((await addAdmin(db)).username)
  return {
    admin,
    people: await Promise.all([addUser(db), addUser(db), addUser(db)]),
    web: await create(
      {},
      {
        token_endpoint_auth_method: 'none',
        grant_types: 'authorization_code refresh_token',
        redirect_uris,
      },
    ),
    api: await create(
      { type: 'confidential', tokenEndpointAuthMethod: 'client_secret_post', grantTypes: grants },
      {
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: grants.join(' '),
        redirect_uris,
      },
    ),
    device: await create(
      { redirectUris: [], grantTypes: [deviceCodeGrantType, 'refresh_token'] },
      {
        token_endpoint_auth_method: 'none',
        grant_types: `${deviceCodeGrantType} refresh_token`,
        redirect_uris: '',
      },
    ),
  }
}

/** What is alive and should have ended, in SQL that knows no code of the product. */
const undead = sql`
  with live as (
    select t.*, coalesce(t.origin_client_id, t.client_id) as granted_to from tokens t
    where t.revoked_at is null and t.expires_at > now()
  )
  select 'token of a client that is not active' as what, id::text from live
    where not exists (select from clients c where c.client_id = live.client_id and c.status = 'active')
  union all select 'token beyond what its client may ask for', id::text from live
    join clients c on c.client_id = live.client_id
    where not string_to_array(live.scope, ' ') <@ string_to_array(c.scope, ' ')
  union all select 'token of a person who is not active', id::text from live
    where user_id is not null
      and not exists (select from users u where u.id = live.user_id and u.is_active)
  union all select 'token without a consent', id::text from live
    where user_id is not null and not exists (
      select from consents k
      where k.user_id = live.user_id and k.client_id = live.granted_to and k.revoked_at is null
        and string_to_array(live.scope, ' ') <@ string_to_array(k.scope, ' '))
  union all select 'token whose session is over', live.id::text from live
    join sessions s on s.id = live.session_id
    where live.ends_with_session and s.ended_at is not null
  union all select 'token whose parent is over', live.id::text from live
    join tokens p on p.id = live.parent_id
    where p.revoked_at is not null and p.revocation_reason <> 'rotation'
  union all select 'session of a person who is not active', s.id::text from sessions s
    join users u on u.id = s.user_id
    where s.ended_at is null and not u.is_active
  union all select 'code of a person or client that is not active', a.family_id::text from authorization_codes a
    join users u on u.id = a.user_id join clients c on c.client_id = a.client_id
    where a.consumed_at is null and a.expires_at > now() and not (u.is_active and c.status = 'active')
  union all select 'device code of a client that is not active', d.id::text from device_codes d
    join clients c on c.client_id = d.client_id
    where d.status in ('pending', 'approved') and d.expires_at > now() and c.status <> 'active'`

it(`leaves nothing alive that should have ended, seed ${seed}`, async () => {
  const world = await createWorld()
  const unexpected: string[] = []
  const done = new Map<string, number>()
  const work = async (n: number) => {
    const pick = dice(seed + n)
    const app = replicas[n % 2] ?? replicas[0]
    const worker = { world, app, browser: openBrowser(app), pick, refresh: [], access: [] }
    await worker.browser.signIn(pick(world.people).username)
    for (let turn = 0; turn < turns; turn += 1) {
      const name = pick(deck)
      const response = await actions[name](worker)
      // 503 asks for another try: the client has changed twice while it was judged.
      if (response && response.status >= 500 && response.status !== 503)
        unexpected.push(`${name}: ${response.status}`)
      if (response && response.status < 400) done.set(name, (done.get(name) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: workers }, (_, n) => work(n)))
  expect(unexpected).toEqual([])
  expect(rowsOf(await replicas[0].database.db.execute(undead))).toEqual([])
  // A storm in which nothing went well would show little; in a long one everything does.
  expect(done.get('authorize')).toBeGreaterThan(0)
  if (turns >= 200) expect([...done.keys()].sort()).toEqual([...names].sort())
})
