/**
 * What is sent: a route of the app, what an honest request to it would say, and some of it made wrong. A step is plain data,
 * so that it can be drawn, shrunk and printed; what it is about is looked up when it is sent.
 */
import fc from 'fast-check'
import type { WireRequest } from './wire.ts'
import { type Actor, firefox, type World } from './world.ts'

export interface Step {
  readonly actor: number
  /** Drawn, or as method and path. */
  readonly route: number | string
  /** Whether the route is one of the protocols or of signing in, where more can go wrong. */
  readonly protocol: boolean
  /** Instead of the method of the route. */
  readonly method: string | undefined
  /** Which of the known values stand in the path and the parameters. */
  readonly pick: number
  readonly changes: readonly Change[]
  readonly headers: readonly (readonly [string, string])[]
  readonly body: 'form' | 'query' | 'json' | 'multipart' | 'text'
  readonly contentType: string | undefined
  readonly credentials: 'basic' | 'bearer' | 'dpop' | 'none'
  readonly csrf: boolean
  readonly framing: WireRequest['framing']
}

/** A text, so many times over: short when it is printed. */
interface Words {
  readonly text: string
  readonly times: number
}

interface Change {
  /** Which parameter of the request, or by its name. */
  readonly at: number | string
  readonly how: 'replace' | 'add' | 'drop' | 'known'
  readonly value: Words
  /** Sent as it is, not percent-encoded. */
  readonly raw: boolean
}

/** Parameters of honest requests to a route; other routes have those of `otherwise`. */
const recipes: Readonly<Record<string, readonly string[]>> = {
  '/oauth/authorize':
    'client_id redirect_uri response_type scope state nonce code_challenge code_challenge_method'.split(
      ' ',
    ),
  'POST /oauth/authorize': ['authorization_request', 'action'],
  '/oauth/par':
    'client_id client_secret redirect_uri response_type scope state code_challenge code_challenge_method'.split(
      ' ',
    ),
  '/oauth/token':
    'grant_type client_id client_secret code redirect_uri code_verifier refresh_token'.split(' '),
  '/oauth/device/code': ['client_id', 'client_secret', 'scope'],
  '/oauth/introspect': ['client_id', 'client_secret', 'token', 'token_type_hint'],
  '/oauth/revoke': ['client_id', 'client_secret', 'token', 'token_type_hint'],
  '/oauth/register': 'client_name redirect_uris grant_types scope jwks'.split(' '),
  '/oauth/logout': ['id_token_hint', 'post_logout_redirect_uri', 'state'],
  '/login': ['username', 'password', 'redirect'],
  '/device/verify': ['user_code'],
  '/device/decide': ['request', 'user_code', 'action'],
  '/account/security/password': ['current_password', 'new_password', 'new_password_again'],
  '/apps': 'client_name kind token_endpoint_auth_method grant_types redirect_uris scope seen'.split(
    ' ',
  ),
  '/admin/users': ['username', 'email', 'full_name', 'role', 'search', 'after'],
  '/admin/clients':
    'client_name kind token_endpoint_auth_method grant_types redirect_uris scope seen jwks'.split(
      ' ',
    ),
  '/admin/audit': ['type', 'severity', 'actor', 'client', 'from', 'to', 'after', 'format'],
  '/admin/tokens': ['user', 'client', 'type', 'after'],
  '/auth/callback': ['state', 'code', 'iss', 'error'],
}
/** What may stand beside them. */
const requestExtras =
  'claims request request_uri prompt max_age id_token_hint login_hint resource dpop_jkt response_mode acr_values registration'.split(
    ' ',
  )
const extras: Readonly<Record<string, readonly string[]>> = {
  '/oauth/authorize': requestExtras,
  '/oauth/par': requestExtras,
  '/oauth/token':
    'scope resource device_code subject_token subject_token_type requested_token_type audience extra_claims client_assertion client_assertion_type actor_token'.split(
      ' ',
    ),
}
const otherwise = ['redirect', 'notice', 'search']

/** Never in an address: what is typed there comes back in redirects. */
const secretNames =
  /password|secret|^(device_)?code$|code_verifier|^(access|refresh|subject)_token$|assertion|csrf/

const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20 }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...['\0', '\ud800', 'a\0b', '\udc00'],
      ...['', ' ', '\0', '\ud800', 'a\0b', '\u202e', '%00', '%', '%zz', '%c0%80', '%ed%a0%80'],
      ...['+', '&', '=', ';', ',', '"', "'--", '<script>', '\r\nx: y', '../..', '//evil.test'],
      ...['null', 'undefined', 'true', '0', '-1', '1e309', 'NaN', '[]', '{}', '__proto__'],
      ...['constructor', 'toString', '\u00e9', '\ufeff', '\uffff', '😀', 'ﬁ', 'İ', '\u212a'],
    ),
  },
)

/** One in ten is as long as nobody's. */
const words: fc.Arbitrary<Words> = fc.record({
  text,
  times: fc.oneof(
    { weight: 9, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: 66_000 }) },
  ),
})

const written = ({ text: one, times }: Words) => one.repeat(times).slice(0, 66_000)

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.oneof({ weight: 2, arbitrary: fc.nat(14) }, fc.constantFrom(...changeable())),
  how: fc.constantFrom('replace', 'add', 'drop', 'known', 'known'),
  value: words,
  raw: fc.boolean(),
})

/** Names worth adding to any request. */
function changeable(): string[] {
  return (
    'claims request request_uri prompt max_age resource audience dpop_jkt registration response_mode id_token_hint login_hint grant_type ' +
    'refresh_token subject_token subject_token_type device_code extra_claims client_assertion client_assertion_type scope token client_id ' +
    'jwks jwks_uri role status owner_id type after username redirect error user_code access_token __proto__ constructor'
  ).split(' ')
}

const headerValue = fc.oneof(
  text.map((value) => value.replaceAll(/[\r\n\0]/g, '')),
  // Node refuses the control characters among those before anything of ours sees them.
  text.map((value) => value.replaceAll(/[^\x20-\x7e\xa0-\xff]/g, '')),
  fc.constantFrom('null', 'https://evil.test', 'same-site', 'cross-site', 'same-origin', '*/*'),
)

const header = fc.tuple(
  fc.constantFrom(
    ...['accept', 'accept-language', 'origin', 'sec-fetch-site', 'referer', 'user-agent', 'range'],
    ...['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'forwarded', 'traceparent'],
    ...['tracestate', 'baggage', 'if-none-match', 'content-encoding', 'x-http-method-override'],
    ...[
      'dpop',
      'cookie',
      'authorization',
      'host',
      'expect',
      'upgrade',
      'access-control-request-method',
    ],
  ),
  headerValue,
)

const methods =
  'GET POST PUT DELETE PATCH HEAD OPTIONS TRACE CONNECT QUERY PROPFIND get BREW'.split(' ')

/** So often in five, and otherwise nothing. */
const often = <T>(arbitrary: fc.Arbitrary<T[]>, weight: number): fc.Arbitrary<T[]> =>
  fc.oneof({ weight, arbitrary }, { weight: 5 - weight, arbitrary: fc.constant<T[]>([]) })

/** One request of somebody. */
export const step: fc.Arbitrary<Step> = fc.record({
  actor: fc.nat(2),
  route: fc.nat(10_000),
  protocol: fc.constantFrom(true, true, false),
  method: fc.option(fc.constantFrom(...methods), { nil: undefined, freq: 8 }),
  pick: fc.nat(1000),
  changes: often(fc.array(change, { minLength: 1, maxLength: 3 }), 3),
  headers: often(fc.array(header, { minLength: 1, maxLength: 2 }), 1),
  body: fc.constantFrom('form', 'form', 'form', 'query', 'json', 'multipart', 'text'),
  contentType: fc.option(text, { nil: undefined, freq: 20 }),
  credentials: fc.constantFrom('none', 'none', 'basic', 'bearer', 'dpop'),
  csrf: fc.boolean(),
  framing: fc.oneof(
    { weight: 30, arbitrary: fc.constant('length' as const) },
    { weight: 3, arbitrary: fc.constant('chunked' as const) },
    { weight: 1, arbitrary: fc.constant('broken' as const) },
  ),
})

export interface Sent {
  readonly actor: Actor
  readonly route: string
  readonly wire: WireRequest
}

/** The request that a step means in this world. */
export function requestOf(world: World, one: Step): Sent {
  const all = world.app.routes.filter(({ method }) => method !== 'ALL')
  const routes = one.protocol
    ? all.flatMap((known) => Array.from({ length: weightOf(known.path) }, () => known))
    : all
  const wanted = one.route
  const route = (typeof wanted === 'number'
    ? routes[wanted % routes.length]
    : all.find(({ method, path }) => `${method} ${path}` === wanted)) ?? {
    method: 'GET',
    path: '/',
  }
  const actor = world.actors[one.actor % world.actors.length]
  if (!actor) throw new Error('nobody is there')
  const method = one.method ?? route.method
  const inQuery = one.body === 'query' || method === 'GET' || method === 'HEAD'
  const shows = actor.name === 'client' && one.credentials !== 'none'
  const fields = fieldsOf(world, one, `${route.method} ${route.path}`).filter(
    ([name]) => !(shows && name === 'client_secret'),
  )
  if (one.csrf && !inQuery) fields.push(['csrf_token', actor.csrfToken, false])
  const query = inQuery ? fields.filter(([name]) => !secretNames.test(name)) : []
  const { type, body } = inQuery ? { type: '', body: '' } : bodyOf(one.body, fields)
  const path = route.path.replaceAll(/:(\w+)/g, (_, name: string) =>
    encoded(pickOf(world, name === 'provider' ? name : 'id', one.pick * 4), false),
  )
  return {
    actor,
    route: `${route.method} ${route.path}`,
    wire: {
      method,
      target: `${path}${query.length > 0 ? `?${formOf(query)}` : ''}`.replaceAll(/[\s\0]/g, '%20'),
      headers: headersOf(world, one, { actor, type: one.contentType ?? type }),
      body: Buffer.from(body, 'utf8'),
      framing: one.framing,
    },
  }
}

/** How often among the routes of the protocols: most where most can be said. */
function weightOf(path: string): number {
  if (path in extras) return 6
  return /^\/(oauth|login|device|auth)/.test(path) ? 1 : 0
}

type Field = [name: string, value: string, raw: boolean]

function fieldsOf(world: World, one: Step, route: string): Field[] {
  const fields = recipeOf(route).map((name): Field => [name, pickOf(world, name, one.pick), false])
  const [, path = ''] = route.split(' ')
  for (const change of one.changes)
    apply(world, fields, { ...change, at: nameAt(fields, extras[path] ?? [], change.at) })
  return fields
}

/** That of the route, of its path, or of the longest part of it that has one. */
function recipeOf(route: string): readonly string[] {
  const [, path = ''] = route.split(' ')
  const ofPath = Object.keys(recipes).findLast(
    (name) => path === name || path.startsWith(`${name}/`),
  )
  return recipes[route] ?? recipes[ofPath ?? ''] ?? otherwise
}

/** Those beyond the fields are what may stand beside them. */
const nameAt = (fields: readonly Field[], beside: readonly string[], at: Change['at']) =>
  typeof at === 'string'
    ? at
    : (fields[at]?.[0] ?? beside[(at - fields.length) % beside.length] ?? 'x')

/** A text inside of the JSON that a parameter is to be. */
function wrapped(name: string, text: string): string {
  if (name === 'claims') return JSON.stringify({ id_token: { acr: { value: text } } })
  if (name === 'extra_claims') return JSON.stringify({ [text]: text })
  return name === 'jwks' ? JSON.stringify({ keys: [{ kty: text }] }) : text
}

function apply(
  world: World,
  fields: Field[],
  { at: name, how, value, raw }: Change & { readonly at: string },
) {
  const place = fields.findIndex(([known]) => known === name)
  const text = wrapped(name, written(value))
  const marked = secretNames.test(name) ? `canary-${text}` : text
  const changed: Field =
    how === 'known' ? [name, pickOf(world, name, text.length * 4), false] : [name, marked, raw]
  if (how === 'drop') fields.splice(place, place < 0 ? 0 : 1)
  else if (how === 'add' || place < 0) fields.push(changed)
  else fields[place] = changed
}

/** Most often the honest value. */
function pickOf({ known }: World, name: string, pick: number): string {
  const values = known.get(name) ?? ['x']
  return values[pick % 4 === 0 ? (pick >> 2) % values.length : 0] ?? ''
}

/** Percent-encoded, byte by byte; half characters as their three bytes (which no decoder should take). */
function encoded(value: string, raw: boolean): string {
  if (raw) return value
  return [...value]
    .map((one) =>
      one.isWellFormed() ? encodeURIComponent(one) : `%ED%${one < '\udc00' ? 'A0' : 'B0'}%80`,
    )
    .join('')
}

const formOf = (fields: readonly Field[]) =>
  fields.map(([name, value, raw]) => `${encoded(name, raw)}=${encoded(value, raw)}`).join('&')

function bodyOf(kind: Step['body'], fields: readonly Field[]) {
  if (kind === 'json')
    return { type: 'application/json', body: JSON.stringify(Object.fromEntries(jsonOf(fields))) }
  if (kind === 'multipart') {
    const parts = fields.map(
      ([name, value]) =>
        `--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    )
    return { type: 'multipart/form-data; boundary=x', body: `${parts.join('')}--x--\r\n` }
  }
  const type = kind === 'text' ? 'text/plain' : 'application/x-www-form-urlencoded'
  return { type, body: formOf(fields) }
}

/** Lists where registration wants lists, structures where a value is one. */
const jsonOf = (fields: readonly Field[]) =>
  fields.map(([name, value]): [string, unknown] => {
    if (/^(redirect_uris|grant_types|contacts)$/.test(name)) return [name, value.split(' ')]
    try {
      return [name, /^[[{]/.test(value) ? JSON.parse(value) : value]
    } catch {
      return [name, value]
    }
  })

function headersOf(
  world: World,
  { headers, credentials, pick }: Step,
  { actor, type }: { actor: Actor; type: string },
): [string, string][] {
  const cookies = [...actor.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const token = pickOf(world, 'access_token', pick)
  const secret = pickOf(world, 'client_secret', pick)
  const authorization = {
    none: undefined,
    basic: `Basic ${Buffer.from(`${pickOf(world, 'client_id', pick)}:${secret}`).toString('base64')}`,
    bearer: `Bearer ${token}`,
    dpop: `DPoP ${token}`,
  }[credentials]
  const sent = new Map<string, string>([
    ['host', world.host],
    ['user-agent', firefox],
    ['accept', pick % 2 === 0 ? 'text/html' : 'application/json'],
    ...(cookies ? [['cookie', cookies] as const] : []),
    ...(type ? [['content-type', type.replaceAll(/[\r\n\0]/g, '')] as const] : []),
    ...(authorization && actor.name === 'client'
      ? [['authorization', authorization] as const]
      : []),
    // The address of a request is its `host`; whoever changes that has not reached us.
    ...headers.filter(([name]) => name !== 'host' && !(cookies && /cookie|agent/.test(name))),
  ])
  return [...sent]
}
