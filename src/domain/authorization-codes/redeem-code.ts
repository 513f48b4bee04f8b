/** Redeeming an authorization code (RFC 6749 §4.1.3): consume it, check it, and store its tokens, in one transaction. */
import type { Database } from '#/database/client.ts'
import { statementDeadline } from '#/database/deadline.ts'
import { TooLateError } from '#/database/in-time.ts'
import { isRecovering } from '#/database/recovery.ts'
import type { User } from '#/database/schema/users.ts'
import { type Placeholders, prepared } from '#/database/statements/statements.ts'
import { attempting, settleAttempts } from '#/domain/attempts/attempts.ts'
import { type AuditOrigin, auditCtes, auditParams } from '#/domain/audit/audit.ts'
import { type JudgedClient, requireCurrentClient } from '#/domain/clients/client-version.ts'
import { lockedOpenSession, lockOpenSession } from '#/domain/sessions/sessions.ts'
import {
  activeGrantCte,
  lockActiveGrant,
  type SessionBinding,
  whileSignedIn,
} from '#/domain/tokens/active-grant.ts'
import { firstRefreshToken, type RefreshPolicy } from '#/domain/tokens/first-refresh-token.ts'
import { mayRefresh, narrowResources } from '#/domain/tokens/narrow.ts'
import { endStolenFamily, type RevokedTokens, type Theft } from '#/domain/tokens/revoke-tokens.ts'
import { type Token, type TokenLifetimes, tokenCtes, tokenParams } from '#/domain/tokens/tokens.ts'
import { type UnheardTokens, undoTokens } from '#/domain/tokens/undo-tokens.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { matchesChallenge } from '#/protocol/pkce.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { span } from '#/telemetry/tracing.ts'
import {
  type AuthorizationCode,
  consumeCode,
  findAuthorizationCode,
  findUnusedCode,
  restoreCode,
} from './authorization-codes.ts'
import { isExpiredCode } from './code-state.ts'

export interface PresentedCode extends JudgedClient, RefreshPolicy {
  readonly code: string
  readonly redirectUri: string
  readonly codeVerifier: string | undefined
  /** What the access token is for; undefined for all that was granted (RFC 8707 §2.2). */
  readonly resources: readonly string[] | undefined
  readonly lifetimes: TokenLifetimes
  /** Whether access without a refresh token is over when the user signs out. */
  readonly endsWithSession: boolean
  readonly now: Date
}

export type Redemption =
  | {
      readonly result: 'redeemed'
      readonly code: AuthorizationCode
      readonly access: Token
      readonly user: User
      readonly refreshToken: string | undefined
    }
  | { readonly result: 'replayed'; readonly revoked: RevokedTokens }
  | { readonly result: 'invalid' }

/**
 * A wrong redirect URI or verifier throws, which leaves the code unused. A code that was used before ends its family
 * (RFC 6749 §4.1.2, RFC 9700 §4.5). Throws a `StaleClientError`, too.
 */
export function redeemCode(
  db: Database,
  presented: PresentedCode,
  origin: AuditOrigin,
): Promise<Redemption> {
  return span('tokens.redeem_code', async () => {
    const found = await findUnusedCode(db, presented)
    const redeemed = found && (await redeem(db, { ...found, presented, origin }))
    if (redeemed) return redeemed
    await requireCurrentClient(db, presented)
    if (await settleAttempts(db, keyOf(sha256(presented.code))))
      return redeemCode(db, presented, origin)
    const judged = await db.transaction((tx) => judgeUnusable(tx, presented))
    if (judged === 'invalid') return { result: judged }
    if (judged === 'usable') {
      if (found) throw new TooLateError()
      // Given back since it was looked at.
      return redeemCode(db, presented, origin)
    }
    if (isRecovering()) throw new TooLateError()
    // In a transaction of its own, which holds nothing that others wait for who end the same family.
    const revoked = await db.transaction((tx) => endStolenFamily(tx, judged, origin))
    return { result: 'replayed', revoked }
  })
}

interface Redeemable {
  readonly code: AuthorizationCode
  readonly user: User
  readonly presented: PresentedCode
  readonly origin: AuditOrigin
}

/** Undefined when the code was used meanwhile, or its user may not have tokens any more. */
async function redeem(
  db: Database,
  { code, user, presented, origin }: Redeemable,
): Promise<Redemption | undefined> {
  requireMatch(code, presented)
  const { dpopJkt, lifetimes, now } = presented
  const { codeHash, clientId, familyId, userId, scope } = code
  const endsWithSession = doesEndWithSession(code, presented)
  const first = firstRefreshToken(scope, presented)
  const refreshToken = first?.token
  const { access, ids, values } = tokenParams({
    grant: { ...code, endsWithSession },
    scope,
    resources: narrowResources(code.resources, presented.resources),
    dpopJkt,
    refresh: first,
    lifetimes,
    now,
  })
  const audited = auditParams(origin, {
    type: 'AUTHORIZATION_CODE_EXCHANGED',
    at: now,
    actor: user,
    clientId,
    resource: { type: 'token_family', id: familyId },
    details: { scope, offline: refreshToken !== undefined },
  })
  const deadline = statementDeadline()
  const unheard: UnheardTokens = {
    familyId,
    clientId,
    userId,
    ids,
    deadline,
    event: 'AUTHORIZATION_CODE_EXCHANGED',
    origin,
    restore: (tx) => restoreCode(tx, { codeHash, usedAt: now }),
  }
  const attempt = { key: keyOf(codeHash), undo: (tx: Database) => undoTokens(tx, unheard) }
  const { sessionId } = code
  const { clientVersion } = presented
  const who = { userId, clientId, clientVersion, sessionId, endsWithSession }
  const used = await attempting(db, attempt, () =>
    exchange(db, { ...who, codeHash, now, deadline, ...values, ...audited }),
  )
  return used.length > 0 ? { result: 'redeemed', code, access, user, refreshToken } : undefined
}

/** Under which attempts at a code are kept in mind. */
const keyOf = (codeHash: string) => `authorization code ${codeHash}`

const isRefreshable = ({ scope }: AuthorizationCode, { refreshTokens }: PresentedCode) =>
  refreshTokens && mayRefresh(scope)

const doesEndWithSession = (code: AuthorizationCode, presented: PresentedCode) =>
  presented.endsWithSession && !isRefreshable(code, presented)

type Exchange = SessionBinding &
  JudgedClient & {
    readonly codeHash: string
    readonly now: Date
    readonly deadline: Date
  }

/** One statement: the code is used up, the tokens stored and the audit log told, or none of it. */
const exchange = prepared((db, slots: Placeholders<Exchange>) => {
  const { userId, clientId, clientVersion, codeHash, now, deadline } = slots
  const consenting = activeGrantCte(db, { userId, clientId, clientVersion })
  const session = db.$with('session').as(lockedOpenSession(db, consenting, slots))
  const holder = db.$with('holder').as(whileSignedIn(db, { consenting, session }, slots))
  const used = db.$with('used').as(consumeCode(db, holder, { codeHash, clientId, now, deadline }))
  return db
    .with(consenting, session, holder, used, ...tokenCtes(db, used), auditCtes(db, used))
    .select()
    .from(used)
})

function requireMatch(code: AuthorizationCode, presented: PresentedCode) {
  const { now, redirectUri, codeVerifier, dpopJkt } = presented
  if (isExpiredCode(code, now))
    throw new OAuthError('invalid_grant', 'the authorization code has expired')
  if (code.redirectUri !== redirectUri) {
    throw new OAuthError('invalid_grant', 'redirect_uri differs from the authorization request')
  }
  // RFC 7636 §4.6; a verifier without a challenge means that somebody took the challenge out (RFC 9700 §4.8.2).
  const matches =
    codeVerifier === undefined || code.codeChallenge === null
      ? codeVerifier === undefined && code.codeChallenge === null
      : matchesChallenge(codeVerifier, code.codeChallenge)
  if (!matches) {
    throw new OAuthError('invalid_grant', 'code_verifier does not match the code_challenge')
  }
  // RFC 9449 §10.
  if (code.dpopJkt !== null && code.dpopJkt !== dpopJkt) {
    throw new OAuthError('invalid_grant', 'the authorization code is bound to another key')
  }
}

async function judgeUnusable(
  tx: Database,
  presented: PresentedCode,
): Promise<Theft | 'usable' | 'invalid'> {
  const found = await findAuthorizationCode(tx, presented)
  if (!found) return 'invalid'
  const { familyId, userId, clientId } = found
  const entitled = await lockActiveGrant(tx, { userId, clientId })
  // Whoever was giving it back held the user's lock until now.
  const code = (await findAuthorizationCode(tx, presented)) ?? found
  if (!code.consumedAt) {
    const isOver =
      doesEndWithSession(code, presented) && !(await lockOpenSession(tx, code.sessionId))
    return entitled && !isOver ? 'usable' : 'invalid'
  }
  return { familyId, userId, clientId, reason: 'code_replay', now: presented.now }
}
