/**
 * The first start gives an empty database an operator and a client for the command line. The password is told once:
 * printed, and kept in a file that only its owner can read, until the operator removes it.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from '#/database/client.ts'
import type { AuditOrigin } from '#/domain/audit/audit.ts'
import { createClient } from '#/domain/clients/clients.ts'
import { clientsPageQuery } from '#/domain/clients/find-clients.ts'
import { hasUsers } from '#/domain/users/has-users.ts'
import { createPasswords } from '#/domain/users/passwords.ts'
import { createUser } from '#/domain/users/users.ts'
import { deviceCodeGrantType, type GrantType } from '#/protocol/grant-types.ts'
import { standardScopes } from '#/protocol/scopes.ts'
import { randomSecret } from '#/protocol/secrets.ts'

export interface FirstCredentials {
  readonly username: string
  /** Only one that was made up here: an operator's own is known already, and no concern of a terminal or a log. */
  readonly password: string | undefined
  readonly clientId: string
  /** Where they are kept. */
  readonly file: string
}

export const admin = {
  username: 'admin',
  email: 'admin@localhost.invalid',
  fullName: 'Administrator',
  role: 'admin',
} as const

const cliGrantTypes: GrantType[] = ['authorization_code', 'refresh_token', deviceCodeGrantType]

/** RFC 8252 §7.3: these match on any port. */
const loopbackCallbacks = ['http://127.0.0.1/callback', 'http://localhost/callback']

/**
 * Undefined when there are accounts already. The file is written before anything is committed: if that fails, the start
 * fails, and the next one begins again, with a password that can be read.
 */
export function createFirstAccounts(
  db: Database,
  {
    password,
    dataDir,
    ...by
  }: { password: string | undefined; dataDir: string; now: Date; origin: AuditOrigin },
): Promise<FirstCredentials | undefined> {
  return db.transaction(async (tx) => {
    if (await hasUsers(tx)) return undefined
    const chosen = password ?? randomSecret().slice(0, 20)
    const made = password === undefined ? chosen : undefined
    const passwordHash = await createPasswords().hash(chosen)
    // What was made up here is in a file; what the operator chose is theirs.
    const passwordMustChange = made !== undefined
    const created = await createUser(
      tx,
      { ...admin, passwordHash, passwordMustChange, now: by.now },
      by,
    )
    const [known] = await clientsPageQuery(tx, {}, { limit: 1 })
    const client = known?.client ?? (await createCliClient(tx, created?.id, by))
    const credentials = {
      username: admin.username,
      password: made,
      clientId: client.clientId,
      file: join(dataDir, 'authgate-credentials.txt'),
    }
    writeCredentials(dataDir, credentials)
    return credentials
  })
}

async function createCliClient(
  tx: Database,
  ownerId: string | undefined,
  by: Parameters<typeof createClient>[2],
) {
  const { client } = await createClient(
    tx,
    {
      name: 'AuthGate CLI',
      type: 'public',
      status: 'active',
      redirectUris: loopbackCallbacks,
      applicationType: 'native',
      grantTypes: cliGrantTypes,
      scope: [...standardScopes, 'read', 'write'].join(' '),
      ownerId: ownerId ?? null,
    },
    by,
  )
  return client
}

function writeCredentials(
  dataDir: string,
  { username, password, clientId, file }: FirstCredentials,
) {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  // What an earlier database has left opens nothing any more; a new file is sure to have the right mode.
  rmSync(file, { force: true })
  const told = password === undefined ? '' : `password=${password}\n`
  writeFileSync(file, `username=${username}\n${told}client_id=${clientId}\n`, {
    mode: 0o600,
    flag: 'wx',
  })
}
