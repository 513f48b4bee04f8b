/** Codes and tokens as the endpoints would obtain them, for tests of what happens to them. */
import type { Database } from '#/database/client.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { issueAuthorizationCode } from '#/domain/authorization-codes/authorization-codes.ts'
import { redeemCode } from '#/domain/authorization-codes/redeem-code.ts'
import { grantConsent } from '#/domain/consents/consents.ts'
import { type NewSession, startSession } from '#/domain/sign-in/start-session.ts'
import { type PresentedRefreshToken, refreshTokens } from '#/domain/tokens/refresh-tokens.ts'
import type { User } from '#/domain/users/users.ts'
import { sha256 } from '#/protocol/secrets.ts'
import { redirectUri } from './client.ts'
import { judged } from './judged.ts'

const verifier = 'v'.repeat(43)
const challenge = sha256(verifier)
export const lifetimes = {
  accessMs: 3_600_000,
  refreshMs: 30 * 86_400_000,
  familyMs: 90 * 86_400_000,
}

export async function addSession(
  db: Database,
  user: User,
  more: Partial<Pick<NewSession, 'source' | 'identity' | 'now'>> = {},
): Promise<string> {
  const id = crypto.randomUUID()
  await startSession(
    db,
    {
      id,
      user,
      source: 'local',
      browser: 'Firefox',
      platform: 'Linux',
      ip: '192.0.2.1',
      fingerprint: null,
      remembered: false,
      lifetimeMs: 3_600_000,
      idleMs: 0,
      most: 0,
      replaces: undefined,
      now: new Date(),
      ...more,
    },
    systemOrigin,
  )
  return id
}

export async function addCode(
  db: Database,
  user: User,
  clientId: string,
  scope = 'openid offline_access',
) {
  const now = new Date()
  const sessionId = await addSession(db, user, { now })
  await grantConsent(db, { user, clientId, scope, now }, systemOrigin)
  return issueCode(db, { user, clientId, sessionId, scope, now })
}

export const issueCode = (
  db: Database,
  {
    user,
    clientId,
    sessionId,
    scope = 'openid',
    now = new Date(),
  }: { user: User; clientId: string; sessionId: string; scope?: string; now?: Date },
) =>
  issueAuthorizationCode(
    db,
    {
      request: {
        clientId,
        redirectUri,
        scope,
        state: null,
        nonce: null,
        codeChallenge: challenge,
        responseMode: 'query',
        resources: [],
        claims: null,
        dpopJkt: null,
        interaction: {},
      },
      registeredUri: redirectUri,
      user,
      sessionId,
      authTime: now,
      amr: ['pwd'],
      acr: undefined,
      announceEnd: false,
      lifetimeMs: 60_000,
      now,
    },
    systemOrigin,
  )

export const redeem = (
  db: Database,
  code: string,
  clientId: string,
  more: Partial<Parameters<typeof redeemCode>[1]> = {},
) =>
  judged(db, { clientId, ...more }, (clientVersion) =>
    redeemCode(
      db,
      {
        code,
        clientId,
        redirectUri,
        codeVerifier: verifier,
        dpopJkt: null,
        bindRefresh: false,
        resources: undefined,
        lifetimes,
        refreshTokens: true,
        endsWithSession: false,
        now: new Date(),
        ...more,
        clientVersion,
      },
      systemOrigin,
    ),
  )

/** A refresh token of a fresh family. */
export async function addFamily(db: Database, user: User, clientId: string, scope?: string) {
  const redemption = await redeem(db, await addCode(db, user, clientId, scope), clientId)
  if (redemption.result !== 'redeemed' || !redemption.refreshToken)
    throw new Error('the test code was not redeemed')
  return {
    refreshToken: redemption.refreshToken,
    familyId: redemption.code.familyId,
    access: redemption.access,
  }
}

/** As `REFRESH_TOKEN_GRACE` is by default. */
export const graceMs = 60_000

/** Refreshes as the token endpoint does for a public client. */
export const refreshFor = (
  db: Database,
  token: string,
  clientId: string,
  more: Partial<PresentedRefreshToken> = {},
) =>
  judged(db, { clientId, ...more }, (clientVersion) =>
    refreshTokens(
      db,
      {
        token,
        clientId,
        scope: undefined,
        resources: undefined,
        dpopJkt: null,
        rotate: true,
        authenticated: false,
        graceMs,
        lifetimes,
        secrets: ['s'.repeat(32)],
        now: new Date(),
        ...more,
        clientVersion,
      },
      systemOrigin,
    ),
  )
