/** The two servers, each with a client and one signed-in browser for each connection of the load. */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type Browser, hiddenField, openBrowser, shownIn } from '../browser.ts'
import { freePort, startNode, startServer } from '../server-process.ts'

export interface Subject {
  readonly name: string
  readonly origin: string
  readonly pid: number
  readonly inspectorPort: number | undefined
  /** HTTP Basic of its client. */
  readonly authorization: string
  readonly clientId: string
  /** Signed in, with a consent that is remembered. */
  readonly browsers: readonly { readonly cookie: string; readonly userAgent: string }[]
  output(): string
  stop(): Promise<void>
}

export interface StartOptions {
  readonly database: string
  readonly connections: number
  /** What pins a server to its core. */
  readonly before: readonly string[]
  /** Whether it is to be profiled. */
  readonly inspected: boolean
}

export const redirectUri = 'https://app.example.test/callback'
export const resource = 'https://api.example.test'
const scope = 'openid profile email offline_access'
export const codeVerifier = 'a-verifier-of-the-bench-and-of-no-use-anywhere-else'
const secret = 'a secret of the bench and of no use anywhere else'

export async function startAuthGate(options: StartOptions): Promise<Subject> {
  const inspectorPort = await inspectorPortOf(options)
  const server = await startServer(
    {
      ...settingsOf(options.database, inspectorPort),
      // They would answer, not the endpoints.
      ENABLE_RATE_LIMIT: 'false',
    },
    options.before,
  )
  try {
    const admin = newBrowser(server.origin)
    await signIn(admin.browser, server.credentials())
    const created = await admin.browser.submit('/admin/clients', '/admin/clients', {
      client_name: 'Bench',
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: 'authorization_code refresh_token client_credentials',
      redirect_uris: redirectUri,
      scope,
      allowed_resources: resource,
    })
    const clientId = shownIn(created.text, 'Client ID')
    const browsers = []
    for (let n = 0; n < options.connections; n += 1) {
      const given = { username: `person-${n}`, password: 'correct horse battery staple' }
      const made = await admin.browser.submit('/admin/users', '/admin/users', {
        ...given,
        email: `person-${n}@example.test`,
        full_name: `Person ${n}`,
        role: 'user',
      })
      if (made.status !== 200) throw new Error(`an account was answered ${made.status}`)
      const person = newBrowser(server.origin)
      await signIn(person.browser, given)
      await choosePassword(person.browser, given.password)
      await approve(person.browser, clientId)
      browsers.push(person.cookies())
    }
    return {
      ...server,
      inspectorPort,
      name: 'AuthGate',
      clientId,
      authorization: basic(clientId, shownIn(created.text, 'Client secret')),
      browsers,
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** An account that an operator makes has a password for one sign-in. */
async function choosePassword(browser: Browser, given: string) {
  const own = `${given}s`
  const answer = await browser.submit('/account/password', '/account/password', {
    current_password: given,
    new_password: own,
    new_password_again: own,
  })
  if (answer.status !== 303) throw new Error(`choosing a password was answered ${answer.status}`)
}

async function signIn(browser: Browser, account: { username: string; password: string }) {
  const { username, password } = account
  const answer = await browser.submit('/login', '/login', { username, password, remember_me: '1' })
  if (answer.status !== 303) throw new Error(`signing in was answered ${answer.status}`)
}

async function approve(browser: Browser, clientId: string) {
  const asked = await browser.get(authorizePath(clientId))
  const sent = await browser.post('/oauth/authorize', {
    csrf_token: hiddenField(asked.text, 'csrf_token'),
    authorization_request: hiddenField(asked.text, 'authorization_request'),
    action: 'approve',
  })
  requireCode(sent.location)
}

const peerServer = fileURLToPath(new URL('./oidc-provider-server.ts', import.meta.url))

export async function startOidcProvider(options: StartOptions): Promise<Subject> {
  const clientId = 'bench'
  const inspectorPort = await inspectorPortOf(options)
  const server = await startNode({
    entry: peerServer,
    before: options.before,
    readyPath: '/.well-known/jwks.json',
    settings: {
      ...settingsOf(options.database, inspectorPort),
      NODE_ENV: 'production',
      CLIENT_ID: clientId,
      CLIENT_SECRET: secret,
      REDIRECT_URI: redirectUri,
      RESOURCE: resource,
    },
  })
  try {
    const browsers = []
    for (let n = 0; n < options.connections; n += 1) {
      const person = newBrowser(server.origin)
      await walkThrough(person.browser, authorizePath(clientId, { resource }), `person-${n}`)
      browsers.push(person.cookies())
    }
    return {
      ...server,
      inspectorPort,
      name: 'oidc-provider',
      clientId,
      authorization: basic(clientId, secret),
      browsers,
    }
  } catch (error) {
    const output = server.output()
    await server.stop()
    throw new Error(`oidc-provider was not ready:\n${output}`, { cause: error })
  }
}

/** Its pages for development: a name, a yes, and a redirect after each. */
async function walkThrough(browser: Browser, path: string, login: string) {
  let next = path
  for (let hop = 0; hop < 10 && !next.startsWith(redirectUri); hop += 1) {
    const answer = await browser.get(next)
    if (answer.status === 200) {
      const prompt = hiddenField(answer.text, 'prompt')
      next = (await browser.post(next, { prompt, login, password: 'any' })).location
    } else next = answer.location
    if (!next.startsWith(redirectUri)) next = next.replace(/^https?:\/\/[^/]+/, '')
  }
  requireCode(next)
}

const settingsOf = (database: string, inspectorPort: number | undefined) => ({
  DATABASE_URL: database,
  DB_MAX_OPEN_CONNS: '25',
  SESSION_SECRET: secret,
  ...(inspectorPort !== undefined && { NODE_OPTIONS: `--inspect=127.0.0.1:${inspectorPort}` }),
})

const inspectorPortOf = async ({ inspected }: StartOptions) => (inspected ? freePort() : undefined)

export function authorizePath(
  clientId: string,
  more: Readonly<Record<string, string>> = {},
): string {
  return `/oauth/authorize?${new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope,
    state: crypto.randomUUID(),
    nonce: crypto.randomUUID(),
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  })}`
}

export function requireCode(location: string): string {
  const code = URL.canParse(location) && new URL(location).searchParams.get('code')
  if (!code) throw new Error(`there is no code in ${location || 'an answer without a location'}`)
  return code
}

function newBrowser(origin: string) {
  const cookies = new Map<string, string>()
  const browser = openBrowser({ origin, address: '127.0.0.1', cookies })
  return {
    browser,
    cookies: () => ({
      cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
      userAgent: browser.userAgent,
    }),
  }
}

/** RFC 6749 §2.3.1: both parts form-encoded first. */
const basic = (id: string, password: string) =>
  `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(password)}`).toString('base64')}`
