/**
 * Refreshing (RFC 6749 §6) with rotation (RFC 9700 §4.14.2). The successor of a refresh token is an HMAC of it, so a
 * client that lost our answer and tries again is handed the very same one: for a short while, and only as long as the
 * successor is unused. Everything else that presents a used token is reuse, and ends the family.
 */
import type { Database } from '#/database/client.ts'
import { statementDeadline } from '#/database/deadline.ts'
import { TooLateError } from '#/database/in-time.ts'
import { isRecovering } from '#/database/recovery.ts'
import type { User } from '#/database/schema/users.ts'
import { attempting, settleAttempts } from '#/domain/attempts/attempts.ts'
import { type AuditOrigin, auditParams } from '#/domain/audit/audit.ts'
import { type JudgedClient, requireCurrentClient } from '#/domain/clients/client-version.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { deriveKey, hmac, newestOf, sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import { lockActiveGrant } from './active-grant.ts'
import { narrowResources, narrowScope } from './narrow.ts'
import { endStolenFamily, type RevokedTokens, type Theft } from './revoke-tokens.ts'
import {
  insertTokens,
  type NewTokens,
  type Token,
  type TokenLifetimes,
  tokenParams,
} from './tokens.ts'
import { type UnheardTokens, undoTokens } from './undo-tokens.ts'
import {
  findLatest,
  findRefreshToken,
  findUsableToken,
  lockSuccessor,
  noteRetry,
  restoreRefreshToken,
  reuseRefreshToken,
  rotateRefreshToken,
} from './use-refresh-token.ts'

export interface PresentedRefreshToken extends JudgedClient {
  readonly token: string
  /** What the client asks for; undefined for all that was granted. */
  readonly scope: readonly string[] | undefined
  readonly resources: readonly string[] | undefined
  /** Key of the DPoP proof that came along. */
  readonly dpopJkt: string | null
  readonly rotate: boolean
  /** Whether the client has authenticated itself, so that nobody else can present its tokens. */
  readonly authenticated: boolean
  /** How long a used token of a client that has not is answered with its successor. */
  readonly graceMs: number
  readonly lifetimes: TokenLifetimes
  /** Newest first; the newest derives, all recognise. */
  readonly secrets: readonly string[]
  readonly now: Date
}

export type Refreshed =
  | {
      readonly result: 'success' | 'grace'
      readonly access: Token
      readonly user: User
      readonly refreshToken: string
      readonly rotated: boolean
    }
  | { readonly result: 'reuse'; readonly revoked: RevokedTokens }
  | { readonly result: 'invalid' | 'expired' | 'revoked' | 'client_mismatch' }

/** Throws `invalid_scope`, or a `StaleClientError`, and leaves the token unused. A withdrawn grant answers `revoked`. */
export function refreshTokens(
  db: Database,
  presented: PresentedRefreshToken,
  origin: AuditOrigin,
): Promise<Refreshed> {
  return span('tokens.refresh', async () => {
    const found = await findUsableToken(db, presented)
    const refreshed = found && (await refresh(db, { ...found, presented, origin }))
    if (refreshed) return refreshed
    await requireCurrentClient(db, presented)
    if (await settleAttempts(db, keyOf(presented))) return refreshTokens(db, presented, origin)
    // Who saw it unused cannot have been told of its successor by then.
    const tooEarlyToKnow = found !== undefined
    const judged = await db.transaction((tx) => judgeUnusable(tx, presented, tooEarlyToKnow))
    if (judged === 'usable') {
      if (found) throw new TooLateError()
      // Given back since it was looked at.
      return refreshTokens(db, presented, origin)
    }
    if (!('theft' in judged)) return judged
    if (isRecovering()) throw new TooLateError()
    // In a transaction of its own, which holds nothing that others wait for who end the same family.
    const revoked = await db.transaction((tx) => endStolenFamily(tx, judged.theft, origin))
    return { result: 'reuse', revoked }
  })
}

interface Refreshable {
  readonly token: Token
  readonly user: User
  readonly presented: PresentedRefreshToken
  readonly origin: AuditOrigin
}

/** Undefined when the token was used or ended meanwhile, or its user may not have tokens any more. */
async function refresh(
  db: Database,
  { token, user, presented, origin }: Refreshable,
): Promise<Refreshed | undefined> {
  const { clientVersion, now, rotate: rotated } = presented
  const { id, clientId, familyId } = token
  const successor = rotated ? newestOf(successors(presented)) : presented.token
  const { access, ids, values } = tokenParams({
    ...accessFrom(token, presented),
    refresh: rotated ? { ...token, token: successor } : undefined,
  })
  const audited = auditParams(origin, {
    type: 'TOKEN_REFRESHED',
    at: now,
    actor: user,
    clientId,
    resource: { type: 'token_family', id: familyId },
    details: { scope: access.scope, rotated },
  })
  const use = rotated ? rotateRefreshToken : reuseRefreshToken
  const deadline = statementDeadline()
  const which = { id, userId: user.id, clientId, clientVersion, now, deadline }
  const run = () => use(db, { ...which, ...values, ...audited })
  const unheard: UnheardTokens = {
    familyId,
    clientId,
    userId: user.id,
    ids,
    deadline,
    event: 'TOKEN_REFRESHED',
    origin,
    restore: (tx) => restoreRefreshToken(tx, { id, usedAt: now }),
  }
  const undo = (tx: Database) => undoTokens(tx, unheard)
  const used = rotated ? await attempting(db, { key: keyOf(presented), undo }, run) : await run()
  return used.length > 0
    ? { result: 'success', access, user, refreshToken: successor, rotated }
    : undefined
}

/** Why a token could not be used: a retry within the grace period, a theft, or something harmless. */
async function judgeUnusable(
  tx: Database,
  presented: PresentedRefreshToken,
  tooEarlyToKnow: boolean,
): Promise<Refreshed | { readonly theft: Theft } | 'usable'> {
  const found = await findRefreshToken(tx, presented.token)
  if (!found) return { result: 'invalid' }
  const { clientId } = found.token
  if (clientId !== presented.clientId) return { result: 'client_mismatch' }
  const entitled = await lockActiveGrant(tx, { userId: found.user.id, clientId })
  // Whoever was giving it back held the user's lock until now.
  const { token: row, user } = (await findRefreshToken(tx, presented.token)) ?? found
  if (!row.revokedAt && row.expiresAt <= presented.now) return { result: 'expired' }
  if (row.revokedAt && row.revocationReason !== 'rotation') return { result: 'revoked' }
  if (!entitled) return { result: 'revoked' }
  if (!row.revokedAt) return 'usable'
  const successor = await findUnusedSuccessor(tx, {
    ...presented,
    // A thief has neither the client's credentials nor its key, so what is unused has been lost on its way.
    always: tooEarlyToKnow || presented.authenticated || row.dpopJkt !== null,
  })
  if (!successor) return judgeReuse(tx, row, presented.now)
  if (!(await noteRetry(tx, row.id))) return 'usable'
  const access = await insertTokens(tx, accessFrom(row, presented))
  return { result: 'grace', access, user, refreshToken: successor, rotated: false }
}

/** A family that has ended otherwise has nothing left to steal, and its client may just not have heard of it. */
async function judgeReuse(
  tx: Database,
  { familyId, userId, clientId }: Token,
  now: Date,
): Promise<Refreshed | { readonly theft: Theft }> {
  const latest = await findLatest(tx, familyId)
  const reason = latest?.revocationReason ?? 'reuse'
  if (reason !== 'reuse' && reason !== 'code_replay') return { result: 'revoked' }
  return { theft: { familyId, userId, clientId, reason: 'reuse', now } }
}

async function findUnusedSuccessor(
  tx: Database,
  presented: PresentedRefreshToken & { readonly always: boolean },
): Promise<string | undefined> {
  for (const token of successors(presented)) {
    if (await lockSuccessor(tx, { ...presented, token })) return token
  }
  return undefined
}

/** Under which attempts at a token are kept in mind. */
const keyOf = ({ token }: PresentedRefreshToken) => `refresh token ${sha256(token)}`

const successors = ({ secrets, token }: PresentedRefreshToken): string[] =>
  secrets.map((secret) => hmac(deriveKey(secret, 'refresh token successor'), token))

/** What a refresh token's access token is: at most what was granted, for the key that asked. */
function accessFrom(granted: Token, presented: PresentedRefreshToken): NewTokens {
  const { scope, resources, dpopJkt, lifetimes, now } = presented
  // RFC 9449 §5: a bound refresh token is of use to the holder of its key alone.
  if (granted.dpopJkt !== null && granted.dpopJkt !== dpopJkt)
    throw new OAuthError('invalid_grant', 'the refresh token is bound to another key')
  return {
    grant: granted,
    scope: narrowScope(granted.scope, scope),
    resources: narrowResources(granted.resources, resources),
    dpopJkt,
    lifetimes,
    now,
  }
}
