/**
 * The server on a real port, and who is there: Ada, an administrator and their client, to whom nothing may happen; and
 * those who try, a stranger, a person (Mallory) and a client of theirs, with all that is rightfully their own.
 */
import { eq, sql } from 'drizzle-orm'
import { listen } from '#/boot/listen.ts'
import { consents } from '#/database/schema/consents.ts'
import { sessions } from '#/database/schema/sessions.ts'
import { tokens as tokensTable } from '#/database/schema/tokens.ts'
import { createLog } from '#/telemetry/log.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { obtainCode, obtainTokens, redeemCode } from '../support/flow.ts'
import { addAdmin, addClient, addUser, testPassword } from '../support/people.ts'
import { freePort } from '../support/ports.ts'

export interface Actor {
  readonly name: 'stranger' | 'person' | 'client'
  /** Cookies under the names that the server gave them. */
  readonly cookies: Map<string, string>
  /** Of the newest page. */
  csrfToken: string
}

/** What sessions are bound to. */
export const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

export interface World {
  readonly app: TestApp
  readonly port: number
  readonly host: string
  readonly actors: readonly Actor[]
  /** Values by the name of the parameter; what is found on the way is added. */
  readonly known: Map<string, string[]>
  /** What no answer may hold. */
  readonly secrets: readonly string[]
  /** Mallory signs in again, with a new session. */
  signIn(): Promise<void>
  /** Each line of the log. */
  readonly log: string[]
  close(): Promise<void>
}

const origin = 'https://id.example.test'
const host = new URL(origin).host
const sessionSecret = 'canary of the session secret and long enough'
const callback = 'https://app.example.test/callback'

const settings = (port: number) => ({
  BASE_URL: origin,
  PORT: String(port),
  SESSION_SECRET: sessionSecret,
  ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
  GITHUB_CLIENT_ID: 'authgate',
  GITHUB_CLIENT_SECRET: 'canary of a provider secret',
})

/** Everybody and everything, and the values that requests are made of. */
export async function openWorld(): Promise<World> {
  const port = await freePort()
  const log: string[] = []
  const write = (line: string) => void log.push(line)
  const app = await startTestApp({
    settings: settings(port),
    log: createLog({ level: 'info', destination: { write } }),
  })
  const { config, recorder } = app
  const silent = createLog({ level: 'silent' })
  const listener = await listen(app.fetch, { ...config.server, log: silent, recorder })
  const good = await settle(app)
  const bad = await intrude(app)
  return {
    app,
    port,
    host,
    actors: bad.actors,
    known: knownValues(good, bad),
    secrets: [sessionSecret, 'canary of a provider secret', testPassword, ...good.secrets],
    log,
    signIn: bad.signIn,
    async close() {
      await listener.close(1000)
      await app.close()
    },
  }
}

const owned = {
  type: 'confidential',
  grantTypes: [
    'authorization_code',
    'refresh_token',
    'client_credentials',
    'urn:ietf:params:oauth:grant-type:device_code',
    'urn:ietf:params:oauth:grant-type:token-exchange',
  ],
  scope: 'openid profile email offline_access read',
  allowedResources: ['https://api.example.test'],
  servedResources: ['https://api.example.test'],
} as const

const confidential = () => ({
  ...owned,
  grantTypes: [...owned.grantTypes],
  allowedResources: [...owned.allowedResources],
  servedResources: [...owned.servedResources],
})

/** Those to whom nothing may happen. */
async function settle(app: TestApp) {
  const { db } = app.database
  const ada = await addUser(db, { fullName: 'Ada Canary', email: 'ada-canary@example.test' })
  const admin = await addAdmin(db)
  const { client, secret = '' } = await addClient(db, confidential())
  const app2 = await addClient(db, { ownerId: ada.id, status: 'pending', name: 'Pending app' })
  const [browser, office] = [openBrowser(app), openBrowser(app)]
  await browser.signIn(ada.username)
  await office.signIn(admin.username)
  const asked = { client_secret: secret }
  const tokens = await tokensOf(app, browser, client.clientId, asked)
  const [session] = await db.query.sessions.findMany()
  const cookies = [browser, office].flatMap(({ cookies: jar }) =>
    [...jar].filter(([name]) => name.endsWith('oauth_session')).map(([, value]) => value),
  )
  return {
    ids: [ada.id, admin.id, session?.id ?? '', client.clientId, app2.client.clientId],
    clientIds: [client.clientId, app2.client.clientId],
    usernames: [ada.username, admin.username],
    secrets: [
      secret,
      ...tokens,
      ...cookies,
      ada.email ?? '',
      'Ada Canary',
      admin.email ?? '',
      '$argon2id$',
    ],
  }
}

async function tokensOf(
  app: TestApp,
  browser: ReturnType<typeof openBrowser>,
  clientId: string,
  asked: Record<string, string>,
) {
  const code = await obtainCode(browser, clientId)
  const answer = (await (await redeemCode(app, clientId, code, asked)).json()) as Record<
    string,
    string
  >
  return [answer['access_token'] ?? '', answer['refresh_token'] ?? '', answer['id_token'] ?? '']
}

/** Those who try. */
async function intrude(app: TestApp) {
  const { db } = app.database
  const mallory = await addUser(db, { username: 'mallory', fullName: 'Mallory' })
  const confidentialOne = await addClient(db, { ...confidential(), name: 'Mallory’s service' })
  const publicOne = await addClient(db, { name: 'Mallory’s app' })
  const browser = openBrowser(app, { userAgent: firefox })
  await browser.signIn(mallory.username)
  const tokens = await obtainTokens(app, browser, publicOne.client.clientId)
  const session = await db.query.sessions.findFirst({ where: eq(sessions.userId, mallory.id) })
  const consent = await db.query.consents.findFirst({ where: eq(consents.userId, mallory.id) })
  const token = await db.query.tokens.findFirst({ where: eq(tokensTable.userId, mallory.id) })
  const nothing = () => ({ cookies: new Map<string, string>(), csrfToken: '' })
  return {
    ids: [mallory.id, session?.id ?? '', consent?.id ?? '', token?.familyId ?? ''],
    signIn: async () => void (await browser.signIn(mallory.username)),
    clientIds: [confidentialOne.client.clientId, publicOne.client.clientId],
    clientSecret: confidentialOne.secret ?? '',
    tokens,
    actors: [
      { name: 'stranger', ...nothing() },
      { name: 'person', cookies: browser.cookies, csrfToken: '' },
      { name: 'client', ...nothing() },
    ] satisfies Actor[],
  }
}

type Good = Awaited<ReturnType<typeof settle>>
type Bad = Awaited<ReturnType<typeof intrude>>

function knownValues(good: Good, bad: Bad): Map<string, string[]> {
  const [service = '', own = ''] = bad.clientIds
  const accessTokens = [bad.tokens.access_token, bad.tokens.id_token]
  const clientIds = [service, own, ...good.clientIds]
  const ids = [...good.ids, ...bad.ids, service, own]
  return new Map(
    Object.entries({
      ...words,
      id: ids,
      client_id: clientIds,
      actor: good.usernames,
      user: good.usernames,
      client: clientIds,
      client_secret: [bad.clientSecret],
      username: ['mallory', ...good.usernames, 'nobody'],
      access_token: accessTokens,
      token: [...accessTokens, bad.tokens.refresh_token],
      subject_token: accessTokens,
      refresh_token: [bad.tokens.refresh_token],
      id_token_hint: [bad.tokens.id_token],
      redirect_uri: [callback, 'https://evil.test/', 'http://127.0.0.1/callback'],
      owner_id: ids,
    }),
  )
}

/** What parameters are asked to be by the protocols and forms; the first is what an honest request says. */
const words: Readonly<Record<string, string[]>> = {
  response_type: ['code', 'token', 'code id_token'],
  scope: ['openid profile email', 'openid offline_access', 'read', 'admin'],
  state: ['state-1'],
  nonce: ['nonce-1'],
  code_challenge: ['E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'],
  code_challenge_method: ['S256', 'plain'],
  code_verifier: ['dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'],
  response_mode: ['query', 'fragment', 'form_post', 'jwt'],
  prompt: ['login', 'none', 'consent', 'select_account'],
  max_age: ['0', '100', '-1', '99999999999'],
  display: ['page'],
  login_hint: ['mallory'],
  acr_values: ['0'],
  claims: [
    '{"id_token":{"acr":{"value":"\\u0000"}}}',
    '{"id_token":{"acr":{"value":"\\ud800"}}}',
    '{"userinfo":{"email":{"essential":true},"__proto__":null}}',
    '{"id_token":{"sub":{"value":"x"}}}',
    '[]',
  ],
  request: [
    'eyJhbGciOiJub25lIn0.eyJzdGF0ZSI6IlxcdTAwMDAifQ.',
    'eyJhbGciOiJub25lIn0.e30.',
    'a.b.c',
    '..',
  ],
  request_uri: ['https://app.example.test/r', 'urn:ietf:params:oauth:request_uri:x'],
  dpop_jkt: ['E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'],
  registration: ['{}'],
  resource: ['https://api.example.test', 'https://id.example.test', 'x'],
  audience: ['https://api.example.test'],
  grant_type: [
    'authorization_code',
    'refresh_token',
    'client_credentials',
    'urn:ietf:params:oauth:grant-type:device_code',
    'urn:ietf:params:oauth:grant-type:token-exchange',
    'password',
  ],
  subject_token_type: ['urn:ietf:params:oauth:token-type:access_token'],
  requested_token_type: ['urn:ietf:params:oauth:token-type:jwt'],
  actor_token: ['x'],
  extra_claims: ['{"a":1}', '{"a":"\\u0000"}', '[', '[['.repeat(2000)],
  client_assertion: ['eyJhbGciOiJub25lIn0.eyJzdWIiOiJcdTAwMDAifQ.', 'a.b.c'],
  client_assertion_type: ['urn:ietf:params:oauth:client-assertion-type:jwt-bearer'],
  token_type_hint: ['access_token', 'refresh_token', 'x'],
  password: ['canary-typed password'],
  current_password: ['canary-typed password'],
  new_password: ['canary-typed new password'],
  new_password_again: ['canary-typed new password'],
  remember_me: ['1', 'on'],
  redirect: ['/account/devices', '//evil.test', '/oauth/authorize?authorization_request=%2500'],
  action: ['approve', 'deny', 'continue', 'switch'],
  user_code: ['BCDF-GHJK'],
  post_logout_redirect_uri: ['https://app.example.test/', 'https://evil.test/'],
  logout: ['yes', 'no'],
  email: ['mallory-new@example.test'],
  full_name: ['Mallory'],
  role: ['admin', 'user'],
  status: ['active'],
  client_name: ['Fuzzed app'],
  description: ['An app'],
  kind: ['web', 'spa', 'native', 'machine'],
  token_endpoint_auth_method: ['none', 'client_secret_basic', 'private_key_jwt'],
  grant_types: ['authorization_code refresh_token'],
  redirect_uris: ['https://fuzz.example.test/callback', 'javascript:alert(1)'],
  jwks: ['{"keys":[]}', '{"keys":[{"kty":"\\ud800"}]}', '{'],
  jwks_uri: ['https://127.0.0.1/', 'http://169.254.169.254/'],
  seen: ['x'],
  search: ['a', '%', '_'],
  after: ['x', '2026-11-30T00:00:00.000000Z_1'],
  after_name: ['x'],
  type: ['LOGOUT', 'refresh', 'x'],
  severity: ['info'],
  failures: ['only'],
  ip: ['192.0.2.10'],
  from: ['2026-01-01T00:00', '9999-12-31T23:59'],
  to: ['2026-01-01T00:00'],
  format: ['csv', 'json'],
  notice: ['linked', 'constructor'],
  error: ['session_timeout', 'constructor', '__proto__'],
  code: ['canary-code'],
  device_code: ['canary-device-code'],
  provider: ['github', 'gitea', 'x'],
  iss: ['https://github.com'],
}

/** Rows that are neither Mallory's nor their clients' nor made by registering: a digest of each table. */
export async function stateOfOthers({ app, known }: World): Promise<Record<string, string>> {
  const [service = '', own = ''] = known.get('client_id') ?? []
  const mallory = sql`(select id from users where username = 'mallory')`
  const notTheirs = sql`user_id is distinct from ${mallory}`
  const notTheirClients = sql`client_id not in (${service}, ${own})`
  const tables = {
    users: sql`username <> 'mallory'`,
    sessions: notTheirs,
    identities: notTheirs,
    consents: notTheirs,
    authorization_codes: notTheirs,
    tokens: sql`${notTheirs} and not (user_id is null and client_id in (${service}, ${own}))`,
    clients: sql`${notTheirClients} and owner_id is distinct from ${mallory} and registration_token_hash is null`,
    signing_keys: sql`true`,
    server_secrets: sql`true`,
    logout_deliveries: notTheirs,
  }
  const digests = Object.entries(tables).map(async ([table, condition]) => {
    const rows = await app.database.db.execute(
      sql`select count(*)::int as n, coalesce(md5(string_agg(r, '|' order by r)), '') as digest
          from (select (to_jsonb(t) - 'last_seen_at' - 'idle_expires_at' - 'lapses_at')::text as r
                from ${sql.raw(table)} t where ${condition}) x`,
    )
    return [table, JSON.stringify(rowsOf(rows)[0])] as const
  })
  return Object.fromEntries(await Promise.all(digests))
}

/** Tables in which a text stands, in whatever column. */
export async function tablesWith({ app }: World, text: string): Promise<string[]> {
  const names = rowsOf(
    await app.database.db.execute(
      sql`select table_name from information_schema.tables where table_schema = 'public' order by 1`,
    ),
  ).map((row) => String(row['table_name']))
  const found = names.map(async (name) => {
    const rows = await app.database.db.execute(
      sql`select 1 from ${sql.raw(name)} t where t::text like ${`%${text}%`} limit 1`,
    )
    return rowsOf(rows).length > 0 ? [name] : []
  })
  return (await Promise.all(found)).flat()
}

/** What Mallory and a stranger may have become: nobody else, and nothing more. */
export async function privilegesOf({ app }: World) {
  const rows = await app.database.db.execute(
    sql`select username, role, is_active, auth_source from users order by username`,
  )
  return rowsOf(rows)
}

function rowsOf(result: unknown): Record<string, unknown>[] {
  const rows = Array.isArray(result) ? result : (result as { rows: unknown[] }).rows
  return rows as Record<string, unknown>[]
}
