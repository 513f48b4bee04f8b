/**
 * Reads connection strings as libpq does (PostgreSQL manual, "Connection URIs"): Unix sockets, several hosts, TLS. What it
 * does not know is refused by name, since a typing error in `sslmode` must not leave a connection in the clear.
 */
import { isLoopbackHost } from '#/protocol/loopback.ts'

export interface DatabaseHost {
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string
  readonly port: number
}

export type SslMode = (typeof sslModes)[number]

export interface ConnectionTarget {
  /** The setting that the string came from, for messages. */
  readonly setting: string
  readonly hosts: readonly DatabaseHost[]
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: string | undefined
  readonly applicationName: string
  /** Command line options for the server, such as `-c search_path=authgate`. */
  readonly options: string | undefined
  readonly connectTimeoutSeconds: number
  /** Undefined where the string has none: see `sslModeFor`. */
  readonly sslMode: SslMode | undefined
  /** Files in PEM; `system` stands for the authorities that Node knows. */
  readonly sslRootCert: string | undefined
  readonly sslCert: string | undefined
  readonly sslKey: string | undefined
  /** Whether a server that only reads is passed over. */
  readonly writable: boolean
}

/** What is wrong with a connection string, without anything out of it that may be secret. */
export class ConnectionStringError extends Error {
  override readonly name = 'ConnectionStringError'
}

const sslModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
const writableAttributes = ['read-write', 'primary'] as const

/** Parameters that we take at these values alone, since they then ask for what happens anyhow. */
const withoutEffect: Readonly<Record<string, readonly string[]>> = {
  channel_binding: ['disable', 'prefer'],
  gssencmode: ['disable', 'prefer'],
}

const known = [
  ...['host', 'port', 'user', 'password', 'dbname', 'application_name', 'options'],
  ...['connect_timeout', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'target_session_attrs'],
  ...Object.keys(withoutEffect),
]

/** Parses `postgres://user:password@host:5432,host2/name?sslmode=verify-full`, or throws a `ConnectionStringError`. */
export function parseConnectionString(text: string, setting: string): ConnectionTarget {
  const parts = /^postgres(?:ql)?:\/\/(?:([^/?]*)@)?([^/?@]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(text)
  if (!parts) fail('write postgres://user:password@host:5432/name')
  const [, identity = '', authority = '', path = '', query = ''] = parts
  const parameters = parseParameters(query)
  const [user, password] = splitAt(identity, ':')
  const hosts = parseHosts(authority, parameters)
  const attributes = oneOf(parameters, 'target_session_attrs', ['any', ...writableAttributes])
  return {
    setting,
    hosts,
    user: parameters.get('user') ?? decode(user, 'user name'),
    password: parameters.get('password') ?? decode(password, 'password'),
    database: parameters.get('dbname') ?? decode(path, 'database name'),
    applicationName: parameters.get('application_name') ?? 'authgate',
    options: parameters.get('options'),
    connectTimeoutSeconds: wholeNumber(
      parameters.get('connect_timeout') ?? '10',
      'connect_timeout',
      3600,
    ),
    ...parseTls(parameters),
    writable: attributes === undefined ? hosts.length > 1 : attributes !== 'any',
  }
}

/** `a:5432, b:5432` or the path of a socket: where a string leads, fit for a message. */
export const describeHosts = ({ hosts }: Pick<ConnectionTarget, 'hosts'>): string =>
  hosts.map(describeHost).join(', ')

export const describeHost = (place: DatabaseHost): string =>
  isSocket(place) ? socketPath(place) : `${place.host}:${place.port}`

export const isSocket = ({ host }: DatabaseHost): boolean => host.startsWith('/')

export const socketPath = ({ host, port }: DatabaseHost): string => `${host}/.s.PGSQL.${port}`

/** As libpq: TLS where the server offers it, unless asked otherwise. Within this machine there is nobody to hide from. */
export function sslModeFor(
  { sslMode }: Pick<ConnectionTarget, 'sslMode'>,
  place: DatabaseHost,
): SslMode {
  if (isSocket(place)) return 'disable'
  return sslMode ?? (isLoopbackHost(place.host) ? 'disable' : 'prefer')
}

function parseParameters(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const [name, value] = splitAt(pair, '=')
    if (value === undefined)
      fail(`write ${known.includes(name) ? name : 'each parameter'} as name=value`)
    if (!known.includes(name)) fail(unknownParameter(name))
    if (parameters.has(name)) fail(`it has ${name} twice`)
    const decoded = decode(value, name)
    if (decoded !== undefined) parameters.set(name, decoded)
  }
  for (const [name, values] of Object.entries(withoutEffect)) oneOf(parameters, name, values)
  return parameters
}

/** A name that may be half of a badly encoded password is not repeated. */
const unknownParameter = (name: string) =>
  /^[a-z_]{1,40}$/i.test(name)
    ? `the parameter ${name} is not known; known are ${known.join(', ')} (settings of the server: options=-c%20name=value)`
    : `it has a parameter that is not known; known are ${known.join(', ')}`

function parseHosts(
  authority: string,
  parameters: ReadonlyMap<string, string>,
): readonly DatabaseHost[] {
  const written = authority === '' ? [] : authority.split(',').map(splitHost)
  const names = parameters.get('host')?.split(',') ?? written.map(([host]) => host)
  const ports = parameters.get('port')?.split(',') ?? written.map(([, port]) => port ?? '')
  if (ports.length > 1 && names.length !== ports.length)
    fail('it has a different number of ports than hosts')
  return (names.length === 0 ? ['localhost'] : names).map((host, index) => ({
    host: host === '' ? 'localhost' : host,
    port: wholeNumber(ports[ports.length === 1 ? 0 : index] || '5432', 'port', 65_535),
  }))
}

/** `host`, `host:5432`, `[::1]:5432`, `%2Fvar%2Frun%2Fpostgresql`. */
function splitHost(text: string): [string, string | undefined] {
  const parts = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(text)
  if (!parts) fail('write a host as name, name:5432 or [address]:5432')
  const [, address, name = '', port] = parts
  return [address ?? decode(name, 'host') ?? '', port]
}

function parseTls(parameters: ReadonlyMap<string, string>) {
  const sslRootCert = parameters.get('sslrootcert')
  const sslMode =
    oneOf(parameters, 'sslmode', sslModes) ?? (sslRootCert === 'system' ? 'verify-full' : undefined)
  const [sslCert, sslKey] = [parameters.get('sslcert'), parameters.get('sslkey')]
  // Anybody can get a certificate of a public authority, so the name is what tells one server from another.
  if (sslRootCert === 'system' && sslMode !== 'verify-full')
    fail('sslrootcert=system needs sslmode=verify-full')
  if (sslMode === 'verify-ca' && sslRootCert === undefined)
    fail('sslmode=verify-ca needs sslrootcert, the file with the certificate of your authority')
  if ((sslCert === undefined) !== (sslKey === undefined))
    fail('sslcert and sslkey need one another')
  return { sslMode, sslRootCert, sslCert, sslKey }
}

function oneOf<const T extends string>(
  parameters: ReadonlyMap<string, string>,
  name: string,
  values: readonly T[],
): T | undefined {
  const value = parameters.get(name)
  if (value === undefined) return undefined
  return (
    values.find((item) => item === value) ?? fail(`${name} must be one of ${values.join(', ')}`)
  )
}

function wholeNumber(text: string, name: string, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0
  return value >= 1 && value <= most
    ? value
    : fail(`${name} must be a whole number from 1 to ${most}`)
}

function splitAt(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

/** Empty means that it was not given. */
function decode(text: string | undefined, what: string): string | undefined {
  try {
    return text ? decodeURIComponent(text) : undefined
  } catch {
    return fail(`the ${what} has a % that is not part of an escape; write %25 for it`)
  }
}

function fail(message: string): never {
  throw new ConnectionStringError(message)
}
