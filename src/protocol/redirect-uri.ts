/** Redirect URIs: which may be registered, and which of the registered ones a request means (RFC 9700 §2.1, RFC 8252). */

const loopbackHosts = new Set(['127.0.0.1', '[::1]', 'localhost'])

/** Whether a client may register it: https; http on the loopback interface; a private-use scheme (RFC 8252 §7). */
export function isRegistrableRedirectUri(value: string): boolean {
  const uri = parse(value)
  if (!uri || value.includes('#') || uri.username !== '' || uri.password !== '') return false
  if (uri.protocol === 'https:') return uri.hostname !== ''
  if (uri.protocol === 'http:') return loopbackHosts.has(uri.hostname)
  // RFC 8252 §7.1: a reversed domain name, which also keeps `javascript:` and `data:` out.
  return /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(uri.protocol)
}

/** RFC 9700 §2.1: exact string comparison; RFC 8252 §7.3: any port when a native app listens on the loopback interface. */
export function matchesRedirectUri(asked: string, registered: readonly string[]): boolean {
  if (registered.includes(asked)) return true
  const portless = withoutLoopbackPort(asked)
  return portless !== undefined && registered.some((uri) => withoutLoopbackPort(uri) === portless)
}

/** Adds parameters to the query, keeping what is there (RFC 6749 §3.1.2). */
export function addQuery(uri: string, parameters: Record<string, string | undefined>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined) query.set(name, value)
  return `${uri}${uri.includes('?') ? '&' : '?'}${query}`
}

/** The source a browser must be allowed to be sent to (CSP form-action): origin, or scheme for native apps. */
export function redirectSource(uri: string): string {
  const { origin, protocol } = new URL(uri)
  return origin === 'null' ? protocol : origin
}

/** The same URI without its port, or undefined when it is not an http URI of the loopback interface. */
function withoutLoopbackPort(value: string): string | undefined {
  const match = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost))(?::\d{1,5})?(\/[^#]*)?$/.exec(value)
  // A port beyond 65535 is no address that anybody could be sent to.
  return match && parse(value) ? `${match[1]}${match[2] ?? ''}` : undefined
}

function parse(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined
}
