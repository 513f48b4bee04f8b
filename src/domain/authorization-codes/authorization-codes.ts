/** Authorization codes: issued once, consumed once by one atomic statement, remembered for a while to notice replays. */
import { and, eq, isNull, lt, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { deleteBatch } from '#/database/delete-batch.ts'
import { rowInserter } from '#/database/insert-row.ts'
import { prepared, type Slots } from '#/database/prepared.ts'
import {
  type AuthorizationCode,
  authorizationCodes,
} from '#/database/schema/authorization-codes.ts'
import { type AuditOrigin, writeAudit } from '#/domain/audit/audit.ts'
import type { RequestedAuthorization } from '#/domain/authorization-requests/authorization-requests.ts'
import { rememberSessionClient } from '#/domain/logout-deliveries/announce.ts'
import { findSession } from '#/domain/sessions/sessions.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { randomSecret, sha256 } from '#/protocol/secrets.ts'

export type { AuthorizationCode } from '#/database/schema/authorization-codes.ts'

export interface CodeGrant {
  readonly request: RequestedAuthorization
  readonly user: { readonly id: string; readonly username: string }
  readonly sessionId: string
  /** When the user really signed in. */
  readonly authTime: Date
  /** How (RFC 8176). */
  readonly amr: readonly string[] | undefined
  readonly acr: string | undefined
  /** Whether the client wants to hear of the end of the session. */
  readonly announceEnd: boolean
  readonly lifetimeMs: number
  readonly now: Date
}

/**
 * Issues a code for a request that its user has approved; answers the code itself, which is stored as a digest only.
 * The session is checked after the insert, whose foreign key has waited for whoever is ending it together with the
 * user's other access. Throws, to roll back, when it has ended.
 */
export async function issueAuthorizationCode(
  tx: Database,
  grant: CodeGrant,
  origin: AuditOrigin,
): Promise<string> {
  const { request, user, now } = grant
  const code = randomSecret()
  await insertCode(tx, {
    codeHash: sha256(code),
    clientId: request.clientId,
    userId: user.id,
    sessionId: grant.sessionId,
    familyId: crypto.randomUUID(),
    redirectUri: request.redirectUri,
    scope: request.scope,
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
  })
  if (grant.announceEnd)
    await rememberSessionClient(tx, { sessionId: grant.sessionId, clientId: request.clientId })
  const found = await findSession(tx, grant.sessionId)
  if (!found || found.session.endedAt)
    throw new OAuthError('access_denied', 'you have been signed out')
  await writeAudit(tx, origin, {
    type: 'AUTHORIZATION_CODE_GENERATED',
    at: now,
    actor: user,
    clientId: request.clientId,
    details: { scope: request.scope },
  })
  return code
}

const insertCode = rowInserter(authorizationCodes)

/** The code, if this call is the one that consumed it. A code of another client is not touched. */
export async function consumeAuthorizationCode(
  tx: Database,
  { code, clientId, now }: { code: string; clientId: string; now: Date },
): Promise<AuthorizationCode | undefined> {
  return (await consumeCode(tx, { codeHash: sha256(code), clientId, now }))[0]
}

type KeyOfCode = Pick<AuthorizationCode, 'codeHash' | 'clientId'>

const consumeCode = prepared((db, { codeHash, clientId, now }: Slots<KeyOfCode & { now: Date }>) =>
  db
    .update(authorizationCodes)
    .set({ consumedAt: sql`${now}` })
    .where(
      and(
        eq(authorizationCodes.codeHash, codeHash),
        eq(authorizationCodes.clientId, clientId),
        isNull(authorizationCodes.consumedAt),
      ),
    )
    .returning(),
)

export async function findAuthorizationCode(
  tx: Database,
  { code, clientId }: { code: string; clientId: string },
): Promise<AuthorizationCode | undefined> {
  return (await tx.select().from(authorizationCodes).where(ofClient(code, clientId)))[0]
}

/** Makes codes that were not redeemed yet worthless: of a user, or of what a user approved for one client. */
export async function discardAuthorizationCodes(
  tx: Database,
  { userId, clientId }: { userId: string; clientId?: string },
): Promise<void> {
  await tx
    .delete(authorizationCodes)
    .where(
      and(
        eq(authorizationCodes.userId, userId),
        clientId === undefined ? undefined : eq(authorizationCodes.clientId, clientId),
        isNull(authorizationCodes.consumedAt),
      ),
    )
}

/** Deletes up to `limit` codes that expired before the given moment. */
export const deleteExpiredCodes = (db: Database, before: Date, limit: number): Promise<number> =>
  deleteBatch(db, authorizationCodes, {
    key: authorizationCodes.codeHash,
    where: lt(authorizationCodes.expiresAt, before),
    limit,
  })

const ofClient = (code: string, clientId: string) =>
  and(eq(authorizationCodes.codeHash, sha256(code)), eq(authorizationCodes.clientId, clientId))
