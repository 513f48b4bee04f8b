/** Driver options from the parsed connection string, with our own function to open sockets. */
import type { Duplex } from 'node:stream'
import type { DriverOptions } from './connection.ts'
import type { ConnectionTarget, DatabaseHost } from './connection-string.ts'
import { findWritable } from './find-writable.ts'
import { brokenSocket, openSocket, readTlsFiles } from './open-socket.ts'

/** Options for `postgres()`. Each connection goes to the host that writes, where there are several. */
export function driverOptions(target: ConnectionTarget): DriverOptions {
  const files = readTlsFiles(target)
  const open = (place: DatabaseHost) => openSocket(target, place, files)
  const [only] = target.hosts
  if (only && target.hosts.length === 1 && !target.writable) return toHost(target, only, open)
  const find = findWritable(target, (place) => toHost(target, place, open))
  return {
    ...toHost(target, only, async () => open(await find())),
    // A host may have changed sides since it was found.
    ...(target.writable && { target_session_attrs: 'primary' as const }),
  }
}

function toHost(
  target: ConnectionTarget,
  place: DatabaseHost | undefined,
  open: (place: DatabaseHost) => Promise<Duplex>,
): DriverOptions {
  const { user, password, database, applicationName, options, connectTimeoutSeconds } = target
  const own = {
    // Ours is the socket, so these are for the driver's messages alone.
    host: place?.host.replaceAll('/', '') ?? '',
    port: place?.port ?? 5432,
    ssl: false,
    connect_timeout: connectTimeoutSeconds,
    onnotice: () => {},
    // Seconds. The driver's own pause grows to twenty, for which a database that is back would not be seen.
    backoff: (failures: number) => Math.min(0.5, 0.02 * 2 ** failures) * (0.5 + Math.random() / 2),
    connection: { application_name: applicationName, ...(options !== undefined && { options }) },
    socket: () => open(place ?? { host: 'localhost', port: 5432 }).catch(brokenSocket),
  }
  return {
    ...own,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
  }
}
