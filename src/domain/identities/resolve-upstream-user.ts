/** Whom a provider's word lets in: known identities, accounts it may speak for, and newcomers. */
import { eq, TransactionRollbackError } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { isUniqueViolation } from '#/database/errors.ts'
import { users } from '#/database/schema/users.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import type { Profile } from '#/domain/identity-providers/provider.ts'
import { lockUser } from '#/domain/users/lock-user.ts'
import { createUser, isUsername, type User } from '#/domain/users/users.ts'
import { holderOf, isSameAddress, withdrawEmail } from '#/domain/users/withdraw-email.ts'
import { sanitizeName } from '#/protocol/names.ts'
import type { IsReserved } from '#/protocol/reserved-usernames.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import type { UpstreamProvider } from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import { findByIdentity, findIdentityOwner, insertIdentity } from './identities.ts'

export interface UpstreamSignIn {
  readonly source: UpstreamProvider
  readonly profile: Profile
  /** Whether its verified addresses open accounts. */
  readonly trustEmail: boolean
  readonly autoRegister: boolean
  readonly isReserved: IsReserved
  readonly origin: AuditOrigin
  readonly now: Date
}

export type ResolvedUser =
  | { readonly result: 'success' | 'linked' | 'registered'; readonly user: User }
  | {
      readonly result: 'account_inactive' | 'registration_off' | 'email_missing' | 'email_taken'
      readonly user?: User
    }

/** Each round reads afresh what those before it lost against. */
const maxRounds = 5

/** Finds, links or makes the account. Of any number of parallel arrivals, one makes it and the others find it. */
export function resolveUpstreamUser(db: Database, signIn: UpstreamSignIn): Promise<ResolvedUser> {
  return span('identities.admit', async () => {
    for (let round = 0; round < maxRounds; round++) {
      const resolved = await attempt(db, signIn)
      if (resolved) return resolved
    }
    throw new Error('others were faster each time')
  })
}

/** Undefined when somebody else was faster. */
async function attempt(db: Database, signIn: UpstreamSignIn): Promise<ResolvedUser | undefined> {
  try {
    return await db.transaction(
      async (tx) =>
        (await findKnownUser(tx, signIn)) ??
        (await linkByEmail(tx, signIn)) ??
        register(tx, signIn),
    )
  } catch (error) {
    if (isUniqueViolation(error) || error instanceof TransactionRollbackError) return undefined
    throw error
  }
}

async function findKnownUser(
  tx: Database,
  signIn: UpstreamSignIn,
): Promise<ResolvedUser | undefined> {
  const user = await findByIdentity(tx, identityOf(signIn), signIn.now)
  if (!user) return undefined
  return { result: user.isActive ? 'success' : 'account_inactive', user }
}

/** Locked as strongly as entering does: two that came this far must not both wait to lock it more. */
const lockHolderOf = async (tx: Database, email: string): Promise<User | undefined> =>
  (await holderOf(tx, email).for('no key update'))[0]

async function linkByEmail(
  tx: Database,
  signIn: UpstreamSignIn,
): Promise<ResolvedUser | undefined> {
  const { email } = signIn.profile
  if (email === undefined || !isAddress(email) || !isProven(signIn)) return undefined
  const user = await lockHolderOf(tx, email)
  if (!user || !mayBeLinked(user) || !isSameAddress(user.email, email)) return undefined
  if (!user.isActive) return { result: 'account_inactive', user }
  await link(tx, user, signIn)
  return { result: 'linked', user }
}

/** Whether the provider has verified the email address and is trusted to. */
const isProven = ({ profile, trustEmail }: UpstreamSignIn) => profile.emailVerified && trustEmail

/**
 * Never an admin, whose rights exceed any provider's word. Nor a remote account with an unverified address: an
 * attacker may have created it to wait for the address's owner.
 */
const mayBeLinked = ({ role, authSource, emailVerified }: User) =>
  role !== 'admin' && (authSource === 'local' || emailVerified)

/** A user who has not verified the address loses it to one who has. */
const yields = async (
  tx: Database,
  { holder, email, signIn }: { holder: User; email: string; signIn: UpstreamSignIn },
) => isProven(signIn) && withdrawEmail(tx, { holder, email, from: ['oauth', 'http_api'] }, signIn)

async function register(tx: Database, signIn: UpstreamSignIn): Promise<ResolvedUser | undefined> {
  const { profile, autoRegister, origin, now } = signIn
  const { email } = profile
  if (!autoRegister) return { result: 'registration_off' }
  if (email === undefined || !isAddress(email)) return { result: 'email_missing' }
  const holder = await lockHolderOf(tx, email)
  if (holder && !(await yields(tx, { holder, email, signIn }))) {
    // Whoever took it since the first look may be the same person, who came back twice.
    const entered = await findKnownUser(tx, signIn)
    // Or somebody whom this sign-in may be linked to, when it looks again.
    const mayLink = isProven(signIn) && mayBeLinked(holder) && isSameAddress(holder.email, email)
    return entered ?? (mayLink ? undefined : { result: 'email_taken' })
  }
  const user = await createUser(
    tx,
    {
      username: await freeUsername(tx, signIn),
      email,
      emailVerified: isProven(signIn),
      fullName: sanitizeName(profile.fullName, 100),
      passwordHash: null,
      authSource: 'oauth',
      now,
    },
    { origin },
  )
  // Nobody loses an address to somebody who does not get it.
  if (!user) throw new TransactionRollbackError()
  await link(tx, user, signIn)
  return { result: 'registered', user }
}

/**
 * Links an identity to the signed-in user who requested it. `already_linked`: another user has it. An identity that
 * the user has already stays as it is.
 */
export function linkIdentity(
  db: Database,
  user: { readonly id: string; readonly username: string },
  signIn: Omit<UpstreamSignIn, 'trustEmail' | 'autoRegister' | 'isReserved'>,
): Promise<'linked' | 'already_linked' | 'account_inactive'> {
  return span('identities.link', async () => {
    try {
      return await db.transaction(async (tx) => {
        await lockUser(tx, user.id)
        const [owner] = await tx.select().from(users).where(eq(users.id, user.id))
        if (!owner?.isActive) return 'account_inactive'
        const ownerId = await findIdentityOwner(tx, identityOf(signIn))
        if (ownerId !== undefined) return ownerId === user.id ? 'linked' : 'already_linked'
        await link(tx, owner, signIn)
        return 'linked'
      })
    } catch (error) {
      if (isUniqueViolation(error)) return 'already_linked'
      throw error
    }
  })
}

const identityOf = ({ source, profile }: Pick<UpstreamSignIn, 'source' | 'profile'>) => {
  const { issuer, subject } = profile
  return { source, issuer, subject, label: labelOf(profile) }
}

async function link(
  tx: Database,
  user: User,
  signIn: Omit<UpstreamSignIn, 'trustEmail' | 'autoRegister' | 'isReserved'>,
) {
  const { source, origin, now } = signIn
  await insertIdentity(tx, { ...identityOf(signIn), userId: user.id, now })
  await writeAudit(tx, origin, {
    type: 'IDENTITY_LINKED',
    at: now,
    actor: user,
    resource: { type: 'user', id: user.id },
    details: { source },
  })
}

/** Who they are there, as pages can show it. */
const labelOf = ({ username, email, subject }: Profile) =>
  [username, email ?? '', subject]
    .map((text) => sanitizeName(text, 100))
    .find((text) => text !== '') ?? ''

const isAddress = (text: string) =>
  text.length <= 254 && /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u.test(text)

/** Their name there, as far as it can be one here, is theirs to take and nobody has it. */
async function freeUsername(
  tx: Database,
  { profile, isReserved }: UpstreamSignIn,
): Promise<string> {
  const wanted = profile.username
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.@+-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 48)
  const name = isUsername(wanted) && !isReserved(wanted) ? wanted : 'user'
  const taken = await tx.select({ id: users.id }).from(users).where(eq(users.username, name))
  const suffix = randomSecret()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '')
    .slice(0, 6)
  return taken.length > 0 || isReserved(name) ? `${name}-${suffix}` : name
}
