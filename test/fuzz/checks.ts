/** What holds for every answer, whatever was asked. */
import type { Samples } from '../support/prometheus.ts'
import type { Sent } from './steps.ts'
import type { WireAnswer } from './wire.ts'
import type { World } from './world.ts'

/** What is wrong with an answer; empty when nothing is. */
export function wrongsOf(world: World, sent: Sent, answer: WireAnswer): string[] {
  const { status } = answer
  if (status === undefined)
    return mayBeCut(sent) ? [] : ['the connection was closed without an answer']
  // Node's own parser refuses what is no HTTP, before anything of ours sees it.
  if (isNodesOwn(answer)) return []
  return [
    ...(status >= 500 && !isBound(answer) ? [`it failed with ${status}`] : []),
    ...headersMissing(answer),
    ...world.secrets
      .filter((secret) => secret !== '' && answer.raw.includes(secret))
      .map((secret) => `it tells a secret: ${secret.slice(0, 12)}…`),
    ...(/canary-/.test(answer.raw) ? ['it repeats what was sent as a secret'] : []),
    ...(/^\w+ \/admin/.test(sent.route) && status < 300 && status !== 204
      ? ['it opens a page of administrators']
      : []),
    ...leadsAway(sent, answer),
    ...(/node:internal|\bat .*\.ts:\d+/.test(answer.raw) ? ['it shows the inside'] : []),
  ]
}

/** A body that breaks off; and nobody is a proxy here, so that Node hangs up. */
const mayBeCut = ({ wire }: Sent) => wire.framing === 'broken' || wire.method === 'CONNECT'

const isNodesOwn = ({ status, headers }: WireAnswer) =>
  [400, 408, 413, 417, 431].includes(status ?? 0) && !headers.has('content-security-policy')

/** The one bound that can be met here: too many passwords to be checked at once. */
const isBound = ({ status, raw }: WireAnswer) =>
  status === 503 && raw.includes('The server is busy')

function headersMissing({ headers }: WireAnswer): string[] {
  const wanted: [string, RegExp][] = [
    ['content-security-policy', /default-src 'none'.*frame-ancestors 'none'; base-uri 'none'/],
    ['x-content-type-options', /^nosniff$/],
    ['x-frame-options', /^DENY$/],
    ['referrer-policy', /^same-origin$/],
    ['strict-transport-security', /^max-age=31536000; includeSubDomains$/],
    ['cache-control', /no-store|public|max-age/],
  ]
  return wanted.flatMap(([name, value]) =>
    value.test(headers.get(name) ?? '') ? [] : [`it lacks ${name}`],
  )
}

/** Nobody is sent to an address that no client has registered. */
function leadsAway({ wire }: Sent, { headers }: WireAnswer): string[] {
  const location = headers.get('location') ?? ''
  const registered =
    location === '' ||
    /^\/(?!\/)/.test(location) ||
    /^https:\/\/(app|fuzz)\.example\.test\//.test(location) ||
    /^http:\/\/(127\.0\.0\.1|localhost)/.test(location) ||
    location.startsWith('https://github.com/login/oauth/authorize?')
  return registered ? [] : [`${wire.method} leads to ${location.slice(0, 60)}`]
}

/** Series that a request has made up: with a label value that is in no closed list. */
export function madeUpSeries(before: Samples, after: Samples, routes: readonly string[]): string[] {
  const closed = valuesByLabel(before.keys())
  const templates = new Set(routes)
  const isKnown = ([label, value]: readonly [string, string]) =>
    closed.get(label)?.has(value) ||
    (label === 'http_response_status_code' && /^[1-5]\d\d$/.test(value)) ||
    (label === 'http_route' && templates.has(value)) ||
    (label === 'http_request_method' && /^([A-Z]{3,7}|_OTHER)$/.test(value)) ||
    // The bounds of a histogram that had no event before.
    label === 'le' ||
    (label === 'error_type' && /^5\d\d$/.test(value))
  return [...after.keys()].filter(
    (series) => !before.has(series) && !labelsOf(series).every(isKnown),
  )
}

function valuesByLabel(series: Iterable<string>) {
  const values = new Map<string, Set<string>>()
  for (const one of series)
    for (const [label, value] of labelsOf(one))
      values.set(label, (values.get(label) ?? new Set()).add(value))
  return values
}

const labelsOf = (series: string) =>
  [...series.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(
    ([, label = '', value = '']) => [label, value] as const,
  )
