/** Accounts of people for whom another server vouches by name and password: found by who they are there, or made. */
import { and, eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { isUniqueViolation } from '#/database/errors.ts'
import { identities } from '#/database/schema/identities.ts'
import { type User, users } from '#/database/schema/users.ts'
import type { AuditOrigin } from '#/domain/audit/audit.ts'
import { syncProfile } from '#/domain/users/sync-profile.ts'
import { createUser } from '#/domain/users/users.ts'
import { span } from '#/telemetry/tracing.ts'

interface Person {
  readonly issuer: string
  readonly subject: string
  /** What they typed; the name of a new account. */
  readonly username: string
  readonly email: string | undefined
  readonly fullName: string | undefined
}

interface By {
  readonly origin: AuditOrigin
  readonly now: Date
}

export type ExternalAccount =
  | { readonly user: User; readonly emailTaken: boolean }
  /** No account, and none can be made: its name or e-mail address is taken, or there is no address. */
  | 'conflict'

const source = 'http_api'

/** The account of this person, brought up to date, in one transaction; of parallel first sign-ins one makes it. */
export function enterExternalAccount(
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
  await tx.insert(identities).values({
    userId: user.id,
    source,
    issuer: person.issuer,
    subject: person.subject,
    label: person.username,
    createdAt: by.now,
    lastUsedAt: by.now,
  })
  return { user, emailTaken: false }
}

async function enterKnown(tx: Database, person: Person, { origin, now }: By) {
  const [known] = await tx
    .select({ id: identities.id, user: users })
    .from(identities)
    .innerJoin(users, eq(users.id, identities.userId))
    .where(
      and(
        eq(identities.source, source),
        eq(identities.issuer, person.issuer),
        eq(identities.subject, person.subject),
      ),
    )
    // The user first, as everybody locks them; the identity may be gone by then.
    .for('update', { of: users })
  if (!known) return undefined
  const { id, user } = known
  // Nobody signs in, so nothing changes.
  if (!user.isActive) return { user, emailTaken: false }
  const used = await tx
    .update(identities)
    .set({ lastUsedAt: now })
    .where(eq(identities.id, id))
    .returning({ id: identities.id })
  if (used.length === 0) return undefined
  return syncProfile(tx, { user, profile: person, now }, origin)
}

async function createAccount(tx: Database, person: Person, { origin, now }: By) {
  const { username, email, fullName = '' } = person
  if (email === undefined) return undefined
  return createUser(
    tx,
    { username, email, fullName, passwordHash: null, authSource: source, now },
    { origin },
  )
}
