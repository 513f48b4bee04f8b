/** Authorization codes: issued once, consumed once by one atomic statement, remembered for a while to notice replays. */
import { and, eq, inArray, lt, sql, type WithSubquery } from 'drizzle-orm'
import { deleteBatch } from '#/database/batch.ts'
import type { Database } from '#/database/client.ts'
import { inTime } from '#/database/in-time.ts'
import {
  type AuthorizationCode,
  authorizationCodes,
} from '#/database/schema/authorization-codes.ts'
import { clients } from '#/database/schema/clients.ts'
import { type User, users } from '#/database/schema/users.ts'
import {
  insertForEach,
  type Placeholders,
  prepared,
  valuesFor,
} from '#/database/statements/statements.ts'
import { type AuditOrigin, auditCtes, auditParams } from '#/domain/audit/audit.ts'
import type { RequestedAuthorization } from '#/domain/authorization-requests/authorization-requests.ts'
import { whereActiveClient } from '#/domain/clients/client-state.ts'
import {
  sessionClientCte,
  sessionClientParams,
} from '#/domain/logout-deliveries/queue-deliveries.ts'
import { lockedOpenSession } from '#/domain/sessions/sessions.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { deriveKey, hmac, randomSecret, sha256 } from '#/protocol/secrets.ts'
import { whereRedeemableCode, whereUnusedCode } from './code-state.ts'

export type { AuthorizationCode } from '#/database/schema/authorization-codes.ts'

export interface CodeGrant {
  readonly request: RequestedAuthorization
  /** The redirect URI as the client has registered it. */
  readonly registeredUri: string
  readonly user: { readonly id: string; readonly username: string }
  readonly sessionId: string
  /** When the user really proved who they are; null if nobody can say. */
  readonly authTime: Date | null
  /** How (RFC 8176). */
  readonly amr: readonly string[] | undefined
  readonly acr: string | undefined
  /** Whether the client wants to hear of the end of the session. */
  readonly announceEnd: boolean
  readonly lifetimeMs: number
  readonly now: Date
  /** Where the same answer may have to be given twice; random otherwise. */
  readonly code?: string | undefined
}

/**
 * The code that answers a stored request: an HMAC of it, so that whoever sends its form twice gets the same code again,
 * although only its digest is stored. One for each secret, newest first.
 */
export const codesFor = (
  { requestId, sessionId }: { requestId: string; sessionId: string },
  secrets: readonly string[],
): string[] =>
  secrets.map((secret) =>
    hmac(deriveKey(secret, 'authorization code'), `${requestId}|${sessionId}`),
  )

/** The one of these codes that is still to be redeemed. */
export async function findRedeemableCode(
  db: Database,
  codes: readonly string[],
  now: Date,
): Promise<string | undefined> {
  const rows = await db
    .select({ codeHash: authorizationCodes.codeHash })
    .from(authorizationCodes)
    .where(and(inArray(authorizationCodes.codeHash, codes.map(sha256)), whereRedeemableCode(now)))
  return codes.find((code) => rows.some(({ codeHash }) => codeHash === sha256(code)))
}

/**
 * Issues a code for a request that its user has approved; answers the code itself, which is stored as a digest only.
 * Throws when the session has ended, or the client may not ask for this any more, so that whatever led to the code is rolled
 * back: the request may have waited while its client changed.
 */
export async function issueAuthorizationCode(
  db: Database,
  grant: CodeGrant,
  origin: AuditOrigin,
): Promise<string> {
  const { request, user, sessionId, now } = grant
  const { clientId, scope } = request
  const { code = randomSecret() } = grant
  const row: AuthorizationCode = {
    codeHash: sha256(code),
    clientId,
    userId: user.id,
    sessionId,
    familyId: crypto.randomUUID(),
    redirectUri: request.redirectUri,
    scope,
    nonce: request.nonce,
    codeChallenge: request.codeChallenge,
    resources: request.resources,
    dpopJkt: request.dpopJkt,
    details: {
      ...(request.claims && { claims: request.claims }),
      ...(grant.amr && { amr: grant.amr }),
      ...(grant.acr !== undefined && { acr: grant.acr }),
    },
    authTime: grant.authTime,
    expiresAt: new Date(now.getTime() + grant.lifetimeMs),
    consumedAt: null,
  }
  const type = 'AUTHORIZATION_CODE_GENERATED'
  const issued = await issue(db, {
    sessionId,
    userId: user.id,
    clientId,
    registeredUri: grant.registeredUri,
    scope,
    resources: request.resources.join(' '),
    ...valuesFor('code', row),
    ...sessionClientParams({ sessionId, clientId }, grant.announceEnd),
    ...auditParams(origin, { type, at: now, actor: user, clientId, details: { scope } }),
  })
  if (issued.length === 0)
    throw new OAuthError(
      'access_denied',
      'you have been signed out, or the application has been changed or disabled',
    )
  return code
}

type KeyOfGrant = Pick<AuthorizationCode, 'sessionId' | 'userId' | 'clientId' | 'scope'> & {
  readonly registeredUri: string
  /** Separated by spaces. */
  readonly resources: string
}

const issue = prepared((db, key: Placeholders<KeyOfGrant>) => {
  const { sessionId, userId } = key
  const holder = db.$with('holder').as(lockedHolder(db, key))
  const session = db.$with('session').as(lockedOpenSession(db, holder, { sessionId, userId }))
  const stored = db.$with('stored', {}).as(insertForEach(session, authorizationCodes, 'code'))
  const told = [sessionClientCte(db, session), auditCtes(db, session)]
  return db
    .with(holder, session, stored, ...told)
    .select()
    .from(session)
})

/**
 * The user, if the client is active and may request this. Locks both rows before anything is stored, so that revoking
 * access (see lockUser) waits and then finds the code, or comes first and is seen here.
 */
const lockedHolder = (
  db: Database,
  { userId, clientId, registeredUri, scope, resources }: Placeholders<KeyOfGrant>,
) =>
  db
    .select({ userId: users.id })
    .from(users)
    .innerJoin(
      clients,
      and(
        eq(clients.clientId, clientId),
        whereActiveClient,
        sql`'authorization_code' = any(${clients.grantTypes})`,
        sql`${registeredUri}::text = any(${clients.redirectUris})`,
        sql`string_to_array(${scope}::text, ' ') <@ string_to_array(${clients.scope}, ' ')`,
        sql`string_to_array(${resources}::text, ' ') <@ ${clients.allowedResources}`,
      ),
    )
    .where(eq(users.id, userId))
    .for('key share', { of: [users, clients] })

/** A code that was not used yet, with its user. */
export async function findUnusedCode(
  db: Database,
  { code, clientId }: { code: string; clientId: string },
): Promise<{ code: AuthorizationCode; user: User } | undefined> {
  return (await selectUnused(db, { codeHash: sha256(code), clientId }))[0]
}

type KeyOfCode = Pick<AuthorizationCode, 'codeHash' | 'clientId'>

const unused = ({ codeHash, clientId }: Placeholders<KeyOfCode>) =>
  and(
    eq(authorizationCodes.codeHash, codeHash),
    eq(authorizationCodes.clientId, clientId),
    whereUnusedCode,
  )

const selectUnused = prepared((db, key: Placeholders<KeyOfCode>) =>
  db
    .select({ code: authorizationCodes, user: users })
    .from(authorizationCodes)
    .innerJoin(users, eq(users.id, authorizationCodes.userId))
    .where(unused(key)),
)

/**
 * Consumes a code, as part of a statement that finds its holder in `holder`: of all that try, one gets a row. A code of
 * another client is not touched.
 */
export const consumeCode = (
  db: Database,
  holder: WithSubquery,
  { codeHash, clientId, now, deadline }: Placeholders<KeyOfCode & { now: Date; deadline: Date }>,
) =>
  db
    .update(authorizationCodes)
    .set({ consumedAt: sql`${now}` })
    .from(holder)
    .where(and(unused({ codeHash, clientId }), inTime(deadline)))
    .returning({ codeHash: authorizationCodes.codeHash })

/** Makes a code unused again that was consumed at that very moment; answers whether it was. */
export async function restoreCode(
  tx: Database,
  { codeHash, usedAt }: { codeHash: string; usedAt: Date },
): Promise<boolean> {
  const restored = await tx
    .update(authorizationCodes)
    .set({ consumedAt: null })
    .where(
      and(eq(authorizationCodes.codeHash, codeHash), eq(authorizationCodes.consumedAt, usedAt)),
    )
    .returning({ codeHash: authorizationCodes.codeHash })
  return restored.length > 0
}

export async function findAuthorizationCode(
  tx: Database,
  { code, clientId }: { code: string; clientId: string },
): Promise<AuthorizationCode | undefined> {
  return (await tx.select().from(authorizationCodes).where(ofClient(code, clientId)))[0]
}

/** Makes codes that were not redeemed yet worthless: of a user, of a client, or of what a user approved for one client. */
export async function discardAuthorizationCodes(
  tx: Database,
  {
    userId,
    clientId,
  }: { userId: string; clientId?: string } | { userId?: never; clientId: string },
): Promise<void> {
  await tx
    .delete(authorizationCodes)
    .where(
      and(
        userId === undefined ? undefined : eq(authorizationCodes.userId, userId),
        clientId === undefined ? undefined : eq(authorizationCodes.clientId, clientId),
        whereUnusedCode,
      ),
    )
}

/** Deletes up to `limit` codes that expired before the given moment. */
export const deleteExpiredCodes = (db: Database, before: Date, limit: number): Promise<number> =>
  deleteBatch(db, authorizationCodes, {
    key: authorizationCodes.codeHash,
    where: lt(authorizationCodes.expiresAt, before),
    order: authorizationCodes.expiresAt,
    limit,
  })

const ofClient = (code: string, clientId: string) =>
  and(eq(authorizationCodes.codeHash, sha256(code)), eq(authorizationCodes.clientId, clientId))
