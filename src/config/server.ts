/** Where the server listens, how it is reached, and what it takes on. */
import { BlockList, isIP } from 'node:net'
import { z } from 'zod'
import type { database } from './database.ts'
import { duration, flag, httpUrl, list, port, positiveDuration, problem, whole } from './parsers.ts'
import { type Area, type IsWritten, type Settings, setting, type ValuesOf } from './setting.ts'

/** The path becomes the path of cookies and the beginning of links, so it is held to characters that mean nothing there. */
const baseUrl = httpUrl
  .refine((text) => {
    const path = text.replace(/^https?:\/\/[^/]*/i, '')
    return /^(\/[\w.~-]+)*$/.test(path) && (path || '/') === new URL(text).pathname
  }, 'write a path of letters, digits and - . _ ~ between single slashes')
  .refine(
    (text) => new URL(text).username === '' && new URL(text).password === '',
    'write it without a user and a password: everybody is told',
  )

/** RFC 9116 §2.5.3: URIs, and on the web none but https. */
const contacts = list.refine(
  (items) =>
    items.length > 0 &&
    items.every((item) => /^(mailto:[^\s@]+@[^\s@]+|https:\/\/\S+|tel:\+?[\d-]+)$/.test(item)),
  'write mailto:, https:// or tel: addresses, separated by commas',
)
const httpsUrl = z
  .string()
  .refine((text) => /^https:\/\/\S+$/.test(text) && URL.canParse(text), 'write an https:// URL')

const origins = list.refine(
  (items) =>
    items.length > 0 &&
    items.every((item) => item === '*' || (URL.canParse(item) && new URL(item).origin === item)),
  'write origins such as https://app.example.com, separated by commas, or *',
)

const proxies = list.transform((items, context) => {
  const addresses = new BlockList()
  for (const item of items) {
    const [address = '', prefix] = item.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    const most = family === 'ipv6' ? 128 : 32
    const bits = Number(prefix ?? most)
    if (isIP(address) === 0 || !Number.isInteger(bits) || bits < 0 || bits > most)
      return problem(context, 'write addresses or networks such as 10.0.0.0/8, separated by commas')
    addresses.addSubnet(address, bits, family)
  }
  return addresses
})

const settings = {
  HOST: setting(
    z.string(),
    '127.0.0.1',
    'Address to listen on. `0.0.0.0` or `::` for all interfaces.',
  ),
  PORT: setting(port, '8080', 'Port to listen on.'),
  BASE_URL: setting(
    baseUrl,
    undefined,
    'Where people and clients reach this server; also the issuer. Default: `http://localhost:PORT`. With `https://` cookies are `Secure` and HSTS is sent. It may have a path (`https://example.org/auth`): then pages, links, redirects and cookies live below it.',
  ),
  PROXY_STRIPS_PATH: setting(
    flag,
    'false',
    'Whether the reverse proxy strips the path of `BASE_URL` before it forwards a request.',
  ),
  TRUSTED_PROXIES: setting(
    proxies,
    '',
    'Addresses or networks of reverse proxies whose `X-Forwarded-For` and `traceparent` are trusted, separated by commas. Empty: none.',
  ),
  SECURITY_CONTACT: setting(
    contacts,
    undefined,
    'Where to report vulnerabilities, in order of preference: `mailto:`, `https://` or `tel:` addresses. If set, they are served at `/.well-known/security.txt` (RFC 9116).',
  ),
  SECURITY_POLICY: setting(
    httpsUrl,
    undefined,
    'URL of your vulnerability disclosure policy, for `security.txt`.',
  ),
  OUTBOUND_PRIVATE_ADDRESSES: setting(
    flag,
    'false',
    'Allow requests to private addresses that clients register (`jwks_uri`, `request_uri`, logout URIs …), and to this machine by plain http. For development and closed networks only: every client that can register can then make this server send requests into its network.',
  ),
  CORS_ENABLED: setting(
    flag,
    'true',
    'Let scripts of other origins call the endpoints that use no cookie (token, userinfo, discovery and others).',
  ),
  CORS_ALLOWED_ORIGINS: setting(
    origins,
    '*',
    'Allowed origins, separated by commas; `*` for all. Pages are never included.',
  ),
  CORS_MAX_AGE: setting(duration, '12h', 'How long browsers may cache preflight responses.'),
  REQUEST_TIMEOUT: setting(
    positiveDuration,
    '10s',
    'How long a request may take before it is answered with 503 and `Retry-After`. For an export: until its first byte.',
  ),
  MAX_CONNECTIONS: setting(
    whole(1),
    '10000',
    'Maximum number of connections. Beyond it an idle one is closed; if none is idle, the new one.',
  ),
  MAX_CONNECTIONS_PER_ADDRESS: setting(
    whole(1),
    '512',
    'The same per address (IPv6: per /64). This machine and `TRUSTED_PROXIES` are not counted.',
  ),
  SHUTDOWN_DELAY: setting(
    duration,
    undefined,
    'How long requests are still accepted after SIGTERM while `/readyz` answers 503, so that load balancers notice: longer than the interval of their checks. A second SIGTERM ends it. Default: `5s` with `DATABASE_URL` and an `https://` BASE_URL, else `0s`.',
  ),
  SERVER_SHUTDOWN_TIMEOUT: setting(
    positiveDuration,
    '10s',
    'How long requests in flight may take to finish after SIGTERM and `SHUTDOWN_DELAY`.',
  ),
} satisfies Settings

type Values = ValuesOf<typeof settings>

function problems(
  { BASE_URL = 'http://localhost', PROXY_STRIPS_PATH, SECURITY_POLICY }: Partial<Values>,
  isWritten: IsWritten,
): string[] {
  return [
    // RFC 9116 §2.5.3: a policy alone is no file.
    ...(SECURITY_POLICY && !isWritten('SECURITY_CONTACT')
      ? ['SECURITY_POLICY: needs SECURITY_CONTACT beside it.']
      : []),
    ...(PROXY_STRIPS_PATH && new URL(BASE_URL).pathname === '/'
      ? [
          'PROXY_STRIPS_PATH: there is nothing to strip, since BASE_URL has no path; write the address that people see.',
        ]
      : []),
  ]
}

function read(v: Values & Pick<ValuesOf<typeof database.settings>, 'DATABASE_URL'>) {
  const baseUrl = v.BASE_URL ?? `http://localhost:${v.PORT}`
  const secure = baseUrl.startsWith('https:')
  // Only there can another replica take over, and something stand in front that sends people to it.
  const usualDelayMs = v.DATABASE_URL && secure ? 5000 : 0
  return {
    host: v.HOST,
    port: v.PORT,
    /** Also the issuer. */
    baseUrl,
    /** Whether people come by https. */
    secure,
    proxyStripsPath: v.PROXY_STRIPS_PATH,
    trustedProxies: v.TRUSTED_PROXIES,
    securityTxt: { contacts: v.SECURITY_CONTACT, policy: v.SECURITY_POLICY },
    /** Whether private addresses that clients name are asked, and this machine by plain http. */
    privateAddresses: v.OUTBOUND_PRIVATE_ADDRESSES,
    cors: {
      enabled: v.CORS_ENABLED,
      origins: v.CORS_ALLOWED_ORIGINS,
      maxAgeMs: v.CORS_MAX_AGE,
    },
    requestTimeoutMs: v.REQUEST_TIMEOUT,
    connections: {
      total: v.MAX_CONNECTIONS,
      perAddress: v.MAX_CONNECTIONS_PER_ADDRESS,
      trustedProxies: v.TRUSTED_PROXIES,
    },
    shutdown: { delayMs: v.SHUTDOWN_DELAY ?? usualDelayMs, timeoutMs: v.SERVER_SHUTDOWN_TIMEOUT },
  }
}

export const server = { title: 'Server', settings, problems, read } satisfies Area
