/** Accounts of people for whom another server vouches by name and password: found by who they are there, or made. */
import { TransactionRollbackError } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { isUniqueViolation } from '#/database/errors.ts'
import type { User } from '#/database/schema/users.ts'
import type { By } from '#/domain/audit/audit.ts'
import { syncProfile } from '#/domain/users/sync-profile.ts'
import { createUser } from '#/domain/users/users.ts'
import { holderOf, withdrawEmail } from '#/domain/users/withdraw-email.ts'
import type { IsReserved } from '#/protocol/reserved-usernames.ts'
import { span } from '#/telemetry/tracing.ts'
import { findByIdentity, insertIdentity } from './identities.ts'

interface Person {
  readonly issuer: string
  readonly subject: string
  /** What they typed; the name of a new account. */
  readonly username: string
  readonly email: string | undefined
  readonly fullName: string | undefined
  readonly isReserved: IsReserved
}

export type ExternalAccount =
  | { readonly user: User; readonly emailTaken: boolean }
  /** No account, and none can be made: its name or e-mail address is taken or an operator's, or there is no address. */
  | 'conflict'

const source = 'http_api' as const

/** The account of this person, brought up to date, in one transaction; of parallel first sign-ins one makes it. */
export function resolveExternalAccount(
  db: Database,
  person: Person,
  by: By,
): Promise<ExternalAccount> {
  const enter = () => db.transaction((tx) => findOrCreate(tx, person, by))
  return span('identities.enter', () =>
    enter().catch((error: unknown) => {
      // The other first sign-in has committed since: now it is found.
      if (isUniqueViolation(error)) return enter()
      throw error
    }),
  )
}

async function findOrCreate(tx: Database, person: Person, by: By): Promise<ExternalAccount> {
  const known = await enterKnown(tx, person, by)
  if (known) return known
  const user = await createAccount(tx, person, by)
  if (!user) return (await enterKnown(tx, person, by)) ?? 'conflict'
  await insertIdentity(tx, { ...whoIs(person), userId: user.id, now: by.now })
  return { user, emailTaken: false }
}

async function enterKnown(tx: Database, person: Person, { origin, now }: By) {
  const user = await findByIdentity(tx, whoIs(person), now)
  // A disabled account stays as it is: nobody signs in.
  if (!user?.isActive) return user && { user, emailTaken: false }
  return syncProfile(tx, { user, profile: person, now }, origin)
}

const whoIs = ({ issuer, subject, username }: Person) => ({
  source,
  issuer,
  subject,
  label: username,
})

async function createAccount(tx: Database, person: Person, by: By) {
  const { username, email, fullName = '' } = person
  if (email === undefined || person.isReserved(username)) return undefined
  try {
    return await tx.transaction(async (inner) => {
      await makeRoom(inner, email, by)
      const account = { username, email, fullName, passwordHash: null, authSource: source }
      const user = await createUser(inner, { ...account, now: by.now }, { origin: by.origin })
      // Nobody loses an address to somebody who does not get it.
      return user ?? inner.rollback()
    })
  } catch (error) {
    if (error instanceof TransactionRollbackError) return undefined
    throw error
  }
}

/** The operator's own directory counts for more than what a stranger has told a provider. */
async function makeRoom(tx: Database, email: string, { origin, now }: By) {
  const [holder] = await holderOf(tx, email)
  if (holder) await withdrawEmail(tx, { holder, email, from: ['oauth'] }, { source, origin, now })
}
