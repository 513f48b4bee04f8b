/** Redirect URIs: which may be registered, and which of the registered ones a request means (RFC 9700 §2.1, RFC 8252). */

import { loopbackUrlHosts } from './loopback.ts'

/** The private-use schemes without a dot that a client may register: those named, or any. */
export type PrivateUseSchemes = readonly string[] | 'any'

/** Whether a client may register it: https; http on the loopback interface; a private-use scheme (RFC 8252 §7). */
export function isRegistrableRedirectUri(value: string, schemes: PrivateUseSchemes = []): boolean {
  const uri = parse(value)
  if (!uri || !isUri(value) || value.includes('#')) return false
  if (uri.protocol === 'https:') return true
  if (uri.protocol === 'http:') return isLoopback(uri)
  // RFC 8252 §7.1: a reversed domain name, which also keeps `javascript:` and `data:` out.
  if (/^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(uri.protocol)) return true
  const scheme = uri.protocol.slice(0, -1)
  return isPrivateUseScheme(scheme) && (schemes === 'any' || schemes.includes(scheme))
}

/**
 * What browsers and systems know themselves: they would run it, show it, or send the code on to somewhere else than to an
 * app (RFC 9700 §4.1.1; OAuth 2.0 for Native Apps has no use for any of them).
 */
const takenSchemes = new Set(
  (
    'about blob cid content data dns fax feed file filesystem ftp ftps geo git gopher http https im imap intent ' +
    'irc jar javascript ldap ldaps livescript magnet mailto mid mms mocha ms-appx ms-help ms-its news nfs nntp ' +
    'opaquelocktoken pop resource rtsp sftp shttp sip sips smb sms smsto snews ssh svn tel telnet tftp tv urn ' +
    'vbscript view-source wais webcal ws wss wyciwyg xmpp'
  ).split(' '),
)

/** Whether an app can have made this scheme its own: one that is not in use for anything else. */
export const isPrivateUseScheme = (scheme: string): boolean =>
  /^[a-z][a-z0-9+-]+$/.test(scheme) && !takenSchemes.has(scheme)

/** Whether it is plain http on this machine. */
export const isLoopback = ({ protocol, hostname }: URL): boolean =>
  protocol === 'http:' && loopbackUrlHosts.includes(hostname)

/** Whether it is written as RFC 3986 wants it, with a plain host name and without credentials: what browsers would mend is refused. */
export function isUri(value: string): boolean {
  const uri = /^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/.test(value) ? parse(value) : undefined
  if (!uri || uri.username || uri.password) return false
  if (!/^https?:$/.test(uri.protocol)) return true
  return /^https?:\/\/[^/]/.test(value) && /^([\w.-]+|\[[\da-f:.]+\])$/.test(uri.hostname)
}

/** RFC 9700 §2.1: exact string comparison; RFC 8252 §7.3: any port when a native app listens on the loopback interface. */
export const matchesRedirectUri = (asked: string, registered: readonly string[]): boolean =>
  registeredRedirectUri(asked, registered) !== undefined

/** The registered one that is meant. */
export function registeredRedirectUri(
  asked: string,
  registered: readonly string[],
): string | undefined {
  if (registered.includes(asked)) return asked
  const portless = withoutLoopbackPort(asked)
  return portless === undefined
    ? undefined
    : registered.find((uri) => withoutLoopbackPort(uri) === portless)
}

/** Adds parameters to the query, keeping what is there (RFC 6749 §3.1.2), or after another separator. */
export function addQuery(
  uri: string,
  parameters: Readonly<Record<string, string | undefined>>,
  separator = uri.includes('?') ? '&' : '?',
): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined) query.set(name, value)
  return `${uri}${separator}${query}`
}

/**
 * The source a browser must be allowed to be sent to (CSP form-action): the origin, or the scheme for native apps and
 * for IPv6 addresses, which no source can name (CSP3 §2.3.1).
 */
export function redirectSource(uri: string): string {
  const { origin, protocol, hostname } = new URL(uri)
  return origin === 'null' || hostname.startsWith('[') ? protocol : origin
}

/**
 * What to call the place that a URI leads to: what stands for the host in an address of a private-use scheme is chosen
 * freely, and may look like somebody else's.
 */
export function destinationOf(uri: string): string {
  const { protocol, host } = new URL(uri)
  return /^https?:$/.test(protocol) ? host : protocol.slice(0, -1)
}

/** The same URI without its port, or undefined when it is not an http URI of the loopback interface. */
function withoutLoopbackPort(value: string): string | undefined {
  const match = /^http:\/\/(\[[^\]]*\]|[^/:?#]*)(?::\d{1,5})?(\/[^#]*)?$/.exec(value)
  const [, host = '', rest = ''] = match ?? []
  // A port beyond 65535 is no address that anybody could be sent to.
  return loopbackUrlHosts.includes(host) && parse(value) ? `http://${host}${rest}` : undefined
}

function parse(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined
}
