/** A refresh token is looked at first, since its client may ask for what it does not grant; then one statement uses it. */
import { and, eq, gt, isNull, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { prepared, type Slots } from '#/database/prepared.ts'
import { type Token, tokens } from '#/database/schema/tokens.ts'
import { type User, users } from '#/database/schema/users.ts'
import { auditWith } from '#/domain/audit/audit.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { entitled, type Holder } from './entitled.ts'
import { tokensWith } from './tokens.ts'

interface Found {
  readonly token: Token
  readonly user: User
}

interface Presented {
  readonly token: string
  readonly clientId: string
  readonly now: Date
}

/** Any refresh token that this server has made, and not forgotten yet. */
export async function findRefreshToken(db: Database, token: string): Promise<Found | undefined> {
  return (await select(db, { hash: sha256(token) }))[0]
}

/** One that may be used, by the looks of it. */
export async function findUsableToken(
  db: Database,
  { token, clientId, now }: Presented,
): Promise<Found | undefined> {
  const found = await findRefreshToken(db, token)
  const isUsable =
    found?.token.clientId === clientId && !found.token.revokedAt && found.token.expiresAt > now
  return isUsable ? found : undefined
}

const select = prepared((db, { hash }: Slots<{ hash: string }>) =>
  db
    .select({ token: tokens, user: users })
    .from(tokens)
    .innerJoin(users, eq(users.id, tokens.userId))
    .where(eq(tokens.secretHash, hash)),
)

type Use = Holder & { readonly id: string; readonly now: Date }

const usable = ({ id, now }: Pick<Slots<Use>, 'id' | 'now'>) =>
  and(eq(tokens.id, id), isNull(tokens.revokedAt), gt(tokens.expiresAt, now))

/** Revokes the token for its successor, and stores what follows from it, if this is the first to use it. */
export const rotate = prepared((db, { userId, clientId, id, now }: Slots<Use>) => {
  const holder = holderOf(db, { userId, clientId })
  const used = db.$with('used').as(
    db
      .update(tokens)
      .set({ revokedAt: sql`${now}`, revocationReason: 'rotation' })
      .from(holder)
      .where(usable({ id, now }))
      .returning({ id: tokens.id }),
  )
  return db
    .with(holder, used, ...tokensWith(db, used), auditWith(db, used))
    .select()
    .from(used)
})

/** Stores what follows from a token that stays what it is, provided that nobody ends its family meanwhile. */
export const hold = prepared((db, { userId, clientId, id, now }: Slots<Use>) => {
  const holder = holderOf(db, { userId, clientId })
  const used = db.$with('used').as(held(db, holder, { id, now }))
  return db
    .with(holder, used, ...tokensWith(db, used), auditWith(db, used))
    .select()
    .from(used)
})

const holderOf = (db: Database, holder: Slots<Holder>) =>
  db.$with('holder').as(entitled(db, holder))

/** The part of a statement that finds a usable token of its user, and holds it until the transaction ends. */
export const held = (
  db: Database,
  holder: ReturnType<typeof holderOf>,
  which: Pick<Slots<Use>, 'id' | 'now'>,
) =>
  db
    .select({ id: tokens.id })
    .from(tokens)
    .innerJoin(holder, eq(holder.userId, tokens.userId))
    .where(usable(which))
    .for('share', { of: tokens })

/** Whether a token may be used; it is held until the transaction ends, so that nobody ends its family meanwhile. */
export const holdRefreshToken = async (
  tx: Database,
  { token, clientId, now }: Presented,
): Promise<boolean> => (await lock(tx, { hash: sha256(token), clientId, now })).length > 0

const lock = prepared(
  (db, { hash, clientId, now }: Slots<{ hash: string; clientId: string; now: Date }>) =>
    db
      .select({ id: tokens.id })
      .from(tokens)
      .where(
        and(
          eq(tokens.secretHash, hash),
          eq(tokens.clientId, clientId),
          isNull(tokens.revokedAt),
          gt(tokens.expiresAt, now),
        ),
      )
      .for('share'),
)
