/** `npm run admin`: recovery for administrators who are locked out, without signing in. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '#/config/config.ts'
import type { Database } from '#/database/client.ts'
import { openDatabase } from '#/database/open-database.ts'
import { changePassword } from '#/domain/access-revocation/end-users.ts'
import { enableUser } from '#/domain/users/enable-user.ts'
import { createPasswords } from '#/domain/users/passwords.ts'
import { findUserByUsername, normalizeUsername, type User } from '#/domain/users/users.ts'
import { randomSecret } from '#/protocol/secrets.ts'

/** Why nothing was done, in words for the operator. */
export class AdminCommandError extends Error {
  override readonly name = 'AdminCommandError'
}

type Command = (db: Database, user: User, enabled: boolean) => Promise<string>

const commands: Readonly<Record<string, Command>> = {
  'reset-password': resetPassword,
  enable,
}

export const adminHelp = `Usage: npm run admin -- COMMAND NAME

  reset-password NAME   Sets a random password for a local user and prints it once; the next sign-in asks for
                        another. All sessions and tokens of the user are revoked.
  enable NAME           Enables a disabled user.

It reads the same settings and the same .env file as the server. With DATABASE_URL, servers can keep running; stop the
server first where the embedded database is used. A running server's counters do not see what is done here; its gauges
and the audit log do.
`

/** Runs one command for one user and returns what to print; throws an `AdminCommandError` when nothing was changed. */
export async function runAdminCommand(
  config: Config,
  command: string,
  name: string,
): Promise<string> {
  const work = Object.hasOwn(commands, command) ? commands[command] : undefined
  if (!work) throw new AdminCommandError(`Unknown command ${command}.\n\n${adminHelp}`)
  const { url, dataDir } = config.database
  if (url === undefined && !existsSync(join(dataDir, 'pgdata')))
    throw new AdminCommandError(
      `There is no database in ${dataDir}. Set DATA_DIR or DATABASE_URL as for the server.`,
    )
  const database = await openDatabase({
    ...config.database,
    poolSize: 1,
    onAvailability: () => {},
    countTimeoutMs: 5000,
    record: undefined,
    prepare: async () => {},
  })
  try {
    const user = await findUserByUsername(database.db, normalizeUsername(name))
    if (!user) throw new AdminCommandError(`There is no user named ${name}.`)
    return await work(database.db, user, config.audit.enabled)
  } finally {
    await database.close()
  }
}

async function resetPassword(db: Database, user: User, enabled: boolean): Promise<string> {
  const elsewhere = `The password of ${user.username} is managed elsewhere (${user.authSource}) and cannot be reset here.`
  if (user.authSource !== 'local') throw new AdminCommandError(elsewhere)
  const password = randomSecret().slice(0, 20)
  const passwordHash = await createPasswords().hash(password)
  const by = { origin: { enabled }, now: new Date() }
  const ended = await changePassword(db, { id: user.id, passwordHash, mustChange: true }, by)
  if (ended.result === 'no_change') throw new AdminCommandError(elsewhere)
  const { sessions, tokens } = ended
  const disabled = ended.user.isActive
    ? ''
    : `The user is still disabled. To enable: npm run admin -- enable ${user.username}\n`
  return `New password for ${user.username}, shown only once: ${password}
The next sign-in asks for a new one.
Revoked: ${sessions.length} sessions, ${tokens.access} access tokens, ${tokens.refresh} refresh tokens.
${disabled}`
}

async function enable(db: Database, user: User, enabled: boolean): Promise<string> {
  const by = { origin: { enabled }, now: new Date() }
  const changed = await enableUser(db, user.id, by)
  return changed ? `${user.username} is enabled.\n` : `${user.username} is already enabled.\n`
}
