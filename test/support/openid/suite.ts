/**
 * The conformance suite of the OpenID Foundation, as far as a test can be it: a server that takes registrations, a
 * person who signs in and says yes, and a web server of the client's own that the authorization server asks.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openBrowser } from '../browser.ts'
import { createHome, type Home, type ServerProcess } from '../process.ts'
import { type Outcome, walk } from './walk.ts'

export interface Suite {
  readonly home: Home
  readonly server: ServerProcess
  readonly issuer: string
  /** What discovery told when the server had started. */
  readonly metadata: Metadata
  readonly web: OwnWeb
  /** A browser without cookies, as each module of the suite begins with. */
  person(): Person
  end(): Promise<void>
}

type Metadata = Readonly<Record<string, unknown>> & Readonly<Record<EndpointName, string>>
type EndpointName =
  | `${'authorization' | 'token' | 'userinfo' | 'registration' | 'end_session'}_endpoint`
  | 'pushed_authorization_request_endpoint'
  | 'jwks_uri'

export interface Person {
  /** Goes there and does what the pages ask, until sent away from the server or shown an error. */
  visit(address: string, how?: { method?: 'GET' | 'POST'; signIn?: boolean }): Promise<Outcome>
}

export const initialAccessToken = 'initial-access-token-of-the-suite'

/** The settings that the suite is run with. */
const suiteSettings = {
  ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
  DYNAMIC_CLIENT_REGISTRATION_STATUS: 'active',
  // Nobody vouches for clients of strangers, and errors of theirs are not sent before their users have decided.
  DYNAMIC_CLIENT_REGISTRATION_TOKEN: initialAccessToken,
  OUTBOUND_PRIVATE_ADDRESSES: 'true',
  ENABLE_RATE_LIMIT: 'false',
  // The plans of OpenID Connect send none.
  PKCE_REQUIRED_FOR_NEW_CLIENTS: 'false',
}

export async function startSuite(settings: Record<string, string> = {}): Promise<Suite> {
  const [home, web] = await Promise.all([createHome(), serveOwnWeb()])
  const server = await home.start({ ...suiteSettings, ...settings })
  const credentials = home.credentials()
  const discovery = await fetch(`${server.url}/.well-known/openid-configuration`)
  return {
    home,
    server,
    web,
    issuer: server.url,
    metadata: (await discovery.json()) as Metadata,
    person: () => {
      const browser = openBrowser(server)
      return {
        visit: (address, how = {}) =>
          walk({ browser, credentials, issuer: server.url }, address, how),
      }
    },
    async end() {
      await web.close()
      await home.remove()
    },
  }
}

/** What the client itself serves: keys, request objects, lists of redirect URIs, receivers of logout tokens. */
interface OwnWeb {
  readonly origin: string
  /** Serves `body` at the path from now on; answers the address. */
  publish(path: string, body: unknown, contentType?: string): string
  /** The form bodies that were posted to the path. */
  received(path: string): readonly URLSearchParams[]
  close(): Promise<void>
}

async function serveOwnWeb(): Promise<OwnWeb> {
  const pages = new Map<string, { body: string; contentType: string }>()
  const posts = new Map<string, URLSearchParams[]>()
  const server = createServer(async (request, response) => {
    const path = request.url ?? '/'
    const page = pages.get(path)
    const chunks = await request.toArray()
    if (request.method === 'POST') {
      const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
      posts.set(path, [...(posts.get(path) ?? []), form])
      response.writeHead(200).end()
    } else if (page) response.writeHead(200, { 'content-type': page.contentType }).end(page.body)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    publish(path, body, contentType = 'application/json') {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      pages.set(path, { body: text, contentType })
      return origin + path
    },
    received: (path) => posts.get(path) ?? [],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
