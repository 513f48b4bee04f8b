/** What is asked of the server: requests that stay good however often they are sent. */

import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import autocannon from 'autocannon'
import { type Browser, hiddenField, openBrowser, shownIn } from '../browser.ts'
import { type ServerProcess, startServer } from '../server-process.ts'

export interface Target {
  readonly name: string
  readonly path: string
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Subject {
  readonly server: ServerProcess
  readonly discovery: Target
  readonly userinfo: Target
  /** A page for a signed-in user that reads nothing but the session. */
  readonly signedInPage: Target
  readonly devices: Target
  readonly refresh: Target
  /** A page for everybody. */
  readonly openPage: Target
}

const connections = 8

/** A server with somebody signed in and an app that holds tokens. Limits are off: they would answer, not the endpoints. */
export async function startSubject(
  settings: Readonly<Record<string, string>> = {},
): Promise<Subject> {
  const server = await startServer({
    ENABLE_RATE_LIMIT: 'false',
    // Keeps one refresh token good for the whole run; public clients rotate regardless.
    ENABLE_TOKEN_ROTATION: 'false',
    ...settings,
  })
  try {
    return { server, ...(await prepare(server)) }
  } catch (error) {
    await server.stop()
    throw error
  }
}

export interface Load {
  readonly perSecond: number
  /** Processor time of the server for one request; NaN where the system does not tell. Neighbours disturb it least. */
  readonly cpuMicroseconds: number
}

/** Sends as many requests as are answered in `seconds`; anything but a good answer is an error of the bench. */
export async function load(
  { server }: Pick<Subject, 'server'>,
  { name, path, method = 'GET', headers = {}, body }: Target,
  seconds: number,
): Promise<Load> {
  const cpuBefore = cpuTime(server.pid)
  const result = await autocannon({
    url: `${server.origin}${path}`,
    connections,
    duration: seconds,
    method,
    headers,
    ...(body !== undefined && { body }),
  })
  const cpu = cpuTime(server.pid) - cpuBefore
  const { errors, timeouts, non2xx, requests, duration } = result
  if (errors + timeouts + non2xx > 0 || requests.total === 0)
    throw new Error(`${name}: ${errors} errors, ${timeouts} timeouts, ${non2xx} bad answers`)
  return {
    perSecond: requests.total / duration,
    cpuMicroseconds: (cpu * 1e6) / requests.total,
  }
}

/** Seconds that a process has been at work, in all its threads (proc(5)); a tick is a hundredth of a second. */
export function cpuTime(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
  return (Number(user) + Number(system)) / 100
}

async function prepare(server: ServerProcess) {
  const cookies = new Map<string, string>()
  const browser = openBrowser({ origin: server.origin, address: '127.0.0.1', cookies })
  const { username, password } = server.credentials()
  await browser.submit('/login', '/login', { username, password, remember_me: '1' })
  const tokens = await obtainTokens(server, browser)
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const page = { cookie, 'user-agent': browser.userAgent, accept: 'text/html' }
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  return {
    discovery: { name: 'discovery', path: '/.well-known/openid-configuration' },
    userinfo: {
      name: 'userinfo',
      path: '/oauth/userinfo',
      headers: { authorization: `Bearer ${tokens.access}` },
    },
    devices: { name: 'session check, /account/devices', path: '/account/devices', headers: page },
    signedInPage: { name: 'signed in', path: '/account/security', headers: page },
    openPage: { name: 'open', path: '/login', headers: { accept: 'text/html' } },
    refresh: {
      name: 'token refresh',
      path: '/oauth/token',
      method: 'POST',
      headers: { ...form, authorization: tokens.authorization },
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: tokens.refresh,
      }).toString(),
    },
  } as const
}

async function obtainTokens(server: ServerProcess, browser: Browser) {
  const redirect_uri = 'https://app.example.test/callback'
  const scope = 'openid profile email offline_access'
  const created = await browser.submit('/admin/clients', '/admin/clients', {
    client_name: 'Bench',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: 'authorization_code refresh_token',
    redirect_uris: redirect_uri,
    scope,
  })
  const client_id = shownIn(created.text, 'Client ID')
  const secret = shownIn(created.text, 'Client secret')
  const authorization = `Basic ${Buffer.from(`${client_id}:${secret}`).toString('base64')}`
  const code_verifier = randomBytes(32).toString('base64url')
  const asked = await browser.get(
    `/oauth/authorize?${new URLSearchParams({
      response_type: 'code',
      client_id,
      redirect_uri,
      scope,
      code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
      code_challenge_method: 'S256',
    })}`,
  )
  const sent = await browser.post('/oauth/authorize', {
    csrf_token: hiddenField(asked.text, 'csrf_token'),
    authorization_request: hiddenField(asked.text, 'authorization_request'),
    action: 'approve',
  })
  const code = new URL(sent.location).searchParams.get('code') ?? ''
  const response = await fetch(`${server.origin}/oauth/token`, {
    method: 'POST',
    headers: { authorization },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri,
      code_verifier,
    }),
  })
  if (response.status !== 200) throw new Error(`the bench got no tokens: ${await response.text()}`)
  const tokens = (await response.json()) as { access_token: string; refresh_token: string }
  return { access: tokens.access_token, refresh: tokens.refresh_token, authorization }
}
