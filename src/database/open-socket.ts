/**
 * Opens the connection that the driver then speaks on. The driver's own way knows neither what libpq means by the TLS
 * modes nor how to find the server that writes, and cycles through several hosts for ever when none answers.
 */
import { readFileSync } from 'node:fs'
import { connect, isIP, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import {
  type ConnectionTarget,
  type DatabaseHost,
  describeHost,
  isSocket,
  type SslMode,
  socketPath,
  sslModeFor,
} from './connection-string.ts'
import { connectionError } from './errors.ts'

/** Reads the files that a connection string names, or throws a sentence that names the parameter. */
export function readTlsFiles(target: ConnectionTarget): ConnectionOptions {
  const { sslRootCert, sslCert, sslKey, setting } = target
  const read = (file: string | undefined, parameter: string) => {
    try {
      return file === undefined ? undefined : readFileSync(file)
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
      throw connectionError(
        `${setting}: the file of ${parameter} cannot be read (${why}).`,
        'CONNECTION_TLS',
      )
    }
  }
  const ca = sslRootCert === 'system' ? undefined : read(sslRootCert, 'sslrootcert')
  const [cert, key] = [read(sslCert, 'sslcert'), read(sslKey, 'sslkey')]
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
}

/** Connects, and encrypts as the mode asks; rejects with a sentence. */
export async function openSocket(
  target: ConnectionTarget,
  place: DatabaseHost,
  files: ConnectionOptions,
): Promise<Socket> {
  const mode = sslModeFor(target, place)
  const socket = await connectPlain(target, place)
  if (mode === 'disable') return socket
  try {
    if (await offersTls(socket)) return await encrypt(socket, place, tlsOptions(mode, files))
  } catch (error) {
    socket.destroy()
    if (mode !== 'prefer') throw tlsFailure(target, place, error)
    return connectPlain(target, place)
  }
  if (mode === 'prefer') return socket
  socket.destroy()
  throw connectionError(
    `the server at ${describeHost(place)} does not offer TLS, which sslmode=${mode} in ${target.setting} asks for`,
    'CONNECTION_TLS',
  )
}

/**
 * A connection that failed before it began. The driver forgets the slot of a connection whose `socket` rejects, so it is
 * handed one that breaks as soon as it has been spoken on: earlier, and the unsent words would go to the next one.
 */
export function brokenSocket(error: unknown): Duplex {
  const socket = new Duplex({ emitClose: false, read() {}, write() {} })
  socket.once('error', () => setImmediate(() => socket.emit('close', true)))
  setImmediate(() => setImmediate(() => socket.destroy(asError(error))))
  return socket
}

async function connectPlain(target: ConnectionTarget, place: DatabaseHost): Promise<Socket> {
  const socket = connect(
    isSocket(place)
      ? { path: socketPath(place) }
      : { host: place.host, port: place.port, noDelay: true },
  )
  const timeoutMs = target.connectTimeoutSeconds * 1000
  try {
    await settled(socket, 'connect', timeoutMs)
    return socket
  } catch (error) {
    throw connectionError(`no connection to ${describeHost(place)} (${reasonOf(error)})`)
  }
}

/** The manual, "SSL Session Encryption": the server answers an SSLRequest with one byte. */
async function offersTls(socket: Socket): Promise<boolean> {
  const request = Buffer.alloc(8)
  request.writeInt32BE(8, 0)
  request.writeInt32BE(80_877_103, 4)
  socket.write(request)
  const [answer] = (await settled(socket, 'data', 10_000)) as [Buffer]
  // CVE-2021-23222: what comes with the answer was put in on the way.
  if (answer.length !== 1) throw new Error('it sent more than was asked')
  if (answer[0] !== 0x53 && answer[0] !== 0x4e)
    throw new Error('it does not speak the Postgres protocol')
  return answer[0] === 0x53
}

async function encrypt(
  socket: Socket,
  place: DatabaseHost,
  options: ConnectionOptions,
): Promise<TLSSocket> {
  const servername = isIP(place.host) === 0 ? { servername: place.host } : {}
  const encrypted = connectTls({ ...options, ...servername, host: place.host, socket })
  await settled(encrypted, 'secureConnect', 10_000)
  return encrypted
}

/** libpq: `require` checks nothing, unless it is given an authority; `verify-ca` does not ask for the name. */
function tlsOptions(mode: SslMode, files: ConnectionOptions): ConnectionOptions {
  const rejectUnauthorized =
    mode === 'verify-ca' || mode === 'verify-full' || (mode === 'require' && files.ca !== undefined)
  return {
    ...files,
    rejectUnauthorized,
    ...(mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
  }
}

const tlsFailure = ({ setting, sslMode }: ConnectionTarget, place: DatabaseHost, error: unknown) =>
  connectionError(
    `TLS with ${describeHost(place)} failed (${reasonOf(error)}), which sslmode=${sslMode} in ${setting} asks for`,
    isCertificateProblem(error) ? 'CONNECTION_TLS' : 'CONNECTION_FAILED',
  )

/** OpenSSL's and Node's names for a chain or name that does not fit. */
const isCertificateProblem = (error: unknown) =>
  error instanceof Error &&
  'code' in error &&
  /CERT|SIGNATURE|ERR_TLS|ERR_SSL|ERR_OSSL/.test(String(error.code))

/** The event's arguments; rejects on an error, an end, or when it takes too long. */
function settled(socket: Socket, event: string, timeoutMs: number): Promise<unknown[]> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown[]>()
  const done = (...values: unknown[]) => resolve(values)
  const ended = () => reject(new Error('it closed the connection'))
  const timer = setTimeout(
    () => reject(new Error(`no answer within ${timeoutMs / 1000} s`)),
    timeoutMs,
  )
  socket.once(event, done).once('error', reject).once('close', ended)
  return promise
    .catch((error: unknown) => {
      socket.on('error', () => {}).destroy()
      throw error
    })
    .finally(() => {
      clearTimeout(timer)
      socket.off(event, done).off('error', reject).off('close', ended)
    })
}

/** Node puts the reasons of several addresses into one error without words. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(reasonOf))].join(', ')
  return error instanceof Error ? error.message : String(error)
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)))
