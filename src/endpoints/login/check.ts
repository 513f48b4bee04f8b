/** Checks a password: here for local accounts, by the external API, where one is set up, for all others. */
import type { Database } from '#/database/client.ts'
import type { ExternalApi } from '#/domain/external-api/external-api.ts'
import { resolveExternalAccount } from '#/domain/identities/external-account.ts'
import type { NewSession } from '#/domain/sign-in/start-session.ts'
import { maxPasswordLength } from '#/domain/users/password-rules.ts'
import type { Passwords, Requester } from '#/domain/users/passwords.ts'
import {
  type CredentialsResult,
  findUserByUsername,
  isUsername,
  type User,
  verifyCredentials,
} from '#/domain/users/users.ts'
import type { IsReserved } from '#/protocol/reserved-usernames.ts'
import type { AppContext } from '#/web/request/context.ts'

interface CheckOptions {
  readonly db: Database
  readonly passwords: Passwords
  readonly externalApi: ExternalApi | undefined
  readonly isReserved: IsReserved
}

interface Credentials {
  readonly username: string
  readonly password: string
}

type Identified = CredentialsResult & Pick<NewSession, 'identity'>

export type Checked = Identified & { readonly method: 'local' | 'http_api' }

export async function checkCredentials(
  c: AppContext,
  { db, passwords, externalApi, isReserved }: CheckOptions,
  { username, password, lane }: Credentials & { readonly lane: Requester },
): Promise<Checked> {
  const known = externalApi && (await knownByName(db, username))
  if (externalApi && known !== 'ours')
    return {
      ...(await askApi(c, { db, externalApi, isReserved, known }, { username, password })),
      method: 'http_api',
    }
  const checked = { username, password: password.slice(0, maxPasswordLength + 1), lane }
  return { ...(await verifyCredentials(db, passwords, checked)), method: 'local' }
}

/** Passwords of local accounts are never sent to the API, and administrators can sign in while it is down. */
async function knownByName(db: Database, username: string): Promise<User | 'ours' | undefined> {
  if (!isUsername(username)) return 'ours'
  const user = await findUserByUsername(db, username)
  return user?.authSource === 'local' ? 'ours' : user
}

interface ApiOptions extends Pick<CheckOptions, 'db' | 'isReserved'> {
  readonly externalApi: ExternalApi
  readonly known: User | undefined
}

async function askApi(
  c: AppContext,
  { db, externalApi, isReserved, known }: ApiOptions,
  { username, password }: Credentials,
): Promise<Identified> {
  const refused = { ok: false, user: known } as const
  // Some directories accept an empty password as an anonymous bind (RFC 4513 §5.1.2).
  if (password === '' || password.length > maxPasswordLength)
    return { ...refused, reason: known ? 'wrong_password' : 'unknown_user' }
  const answer = await externalApi.ask({ username, password })
  if (answer.result === 'refused')
    return { ...refused, reason: known ? 'wrong_password' : 'unknown_user' }
  if (answer.result !== 'success') {
    c.var.log.warn({ result: answer.result }, 'the external sign-in API did not answer')
    return { ...refused, reason: 'unavailable' }
  }
  const { origin, now } = c.var
  const person = { ...answer.person, issuer: externalApi.issuer, username }
  const account = await resolveExternalAccount(db, { ...person, isReserved }, { origin, now })
  if (account === 'conflict') {
    c.var.log.warn(
      'a user of the external sign-in API could not be created: the name or email is taken or reserved, or the email is missing',
    )
    return { ...refused, reason: 'conflict' }
  }
  const { user, emailTaken } = account
  if (emailTaken)
    c.var.log.warn(
      { user: user.id },
      'the email address that the external sign-in API gave belongs to another user',
    )
  return user.isActive
    ? { ok: true, user, identity: person }
    : { ok: false, reason: 'account_inactive', user }
}
