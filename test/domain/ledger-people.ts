/** The people of a history, each of whom may come in by each way of sign-in. */
import type { Database } from '#/database/client.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { resolveExternalAccount } from '#/domain/identities/external-account.ts'
import { insertIdentity } from '#/domain/identities/identities.ts'
import { resolveUpstreamUser } from '#/domain/identities/resolve-upstream-user.ts'
import { findUser, type User } from '#/domain/users/users.ts'
import { addUser } from '../support/people.ts'

const issuers = { github: 'https://github.com', http_api: 'https://people.example.test' }

/** The ways of sign-in that a history takes. */
type Source = 'local' | keyof typeof issuers

export interface Person {
  readonly user: User
  /** Who they are for the provider and for the HTTP API. */
  readonly subject: string
  active: boolean
}
type Known = Omit<Person, 'active'>

export async function addPerson(db: Database): Promise<Person> {
  const known = { user: await addUser(db), subject: crypto.randomUUID() }
  await linkElsewhere(db, known, 'github')
  await linkElsewhere(db, known, 'http_api')
  return { ...known, active: true }
}

export const linkElsewhere = (
  db: Database,
  { user: { id: userId, username: label }, subject }: Known,
  source: keyof typeof issuers,
) =>
  insertIdentity(db, { source, issuer: issuers[source], subject, label, userId, now: new Date() })

/** Who they are, by that way of sign-in. */
export const identityOf = ({ subject }: Known, source: Source) =>
  source === 'local' ? undefined : { issuer: issuers[source], subject }

/** What comes before a session: who this is, by each way of sign-in. */
export async function identify(
  db: Database,
  { user, subject }: Known,
  { source, now }: { source: Source; now: Date },
): Promise<User | undefined> {
  const { username, fullName } = user
  const email = user.email ?? undefined
  const origin = systemOrigin
  const isReserved = () => false
  if (source === 'local') return findUser(db, user.id)
  const issuer = issuers[source]
  if (source === 'http_api') {
    const account = await resolveExternalAccount(
      db,
      { issuer, subject, username, email, fullName, isReserved },
      { origin, now },
    )
    return account === 'conflict' ? undefined : account.user
  }
  const profile = { issuer, subject, username, email, emailVerified: true, fullName }
  const arrival = { source, profile, trustEmail: true, autoRegister: true, isReserved, origin, now }
  return (await resolveUpstreamUser(db, arrival)).user
}
