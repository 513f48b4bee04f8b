/** What is said of a token to those who may know (RFC 7662), and the signed form of it (RFC 9701). */
import type { JWTPayload } from 'jose'
import type { Database } from '#/database/client.ts'
import type { Client } from '#/database/schema/clients.ts'
import { subjectOf } from '#/domain/clients/subject.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { signJwt } from '#/domain/keys/sign.ts'
import { claimsOfToken, toNumericDate } from './token-claims.ts'
import { findLiveAccessToken, findLiveRefreshToken, type LiveToken, type Token } from './tokens.ts'
import { verifyAccessToken } from './verify-access-token.ts'

export interface Introspected {
  readonly token: string
  /** Who asks. */
  readonly caller: Client
  /** Whether the caller must have a part in the token; else it may ask about any. */
  readonly requireOwnership: boolean
  readonly issuer: string
  readonly now: Date
}

export type Introspection =
  | { readonly result: 'active'; readonly live: LiveToken }
  | { readonly result: 'inactive' | 'not_entitled' }

/** The state of a token as the database has it at this moment, if the caller is entitled to know. */
export async function introspectToken(
  db: Database,
  keys: KeySet,
  asked: Introspected,
): Promise<Introspection> {
  const live = await findLiveToken(db, keys, asked)
  if (!live) return { result: 'inactive' }
  if (asked.requireOwnership && !isPartyTo(live.token, asked.caller))
    return { result: 'not_entitled' }
  return { result: 'active', live }
}

/** RFC 7662 §2.1: the hint may be wrong, and our tokens tell their type by their form. */
async function findLiveToken(db: Database, keys: KeySet, { token, issuer, now }: Introspected) {
  if (!token.includes('.')) return findLiveRefreshToken(db, token, now)
  const verified = await verifyAccessToken(keys, token, { issuer, audience: undefined, now })
  return verified.result === 'valid' ? findLiveAccessToken(db, verified.id, now) : undefined
}

/** RFC 7662 §4: the client that holds a token, and the resources that an access token was made for. */
export const isPartyTo = ({ clientId, type, resources }: Token, caller: Client): boolean =>
  clientId === caller.clientId ||
  (type === 'access' && resources.some((resource) => caller.servedResources.includes(resource)))

/** RFC 7662 §2.2. */
export const describeToken = (
  { token, client, user }: LiveToken,
  keys: KeySet,
  issuer: string,
) => ({
  active: true,
  ...claimsOfToken(token, issuer, user ? subjectOf(client, user.id, keys) : client.clientId),
  ...(user && { username: user.username }),
  ...(token.type === 'access' && { token_type: token.dpopJkt === null ? 'Bearer' : 'DPoP' }),
})

/** RFC 9701 §5: for the caller alone, and without a `sub` or `exp` of its own, so that it cannot pass for a token. */
export const signIntrospection = (
  keys: KeySet,
  introspection: JWTPayload,
  { issuer, caller, now }: Pick<Introspected, 'issuer' | 'caller' | 'now'>,
): Promise<string> =>
  signJwt(
    keys,
    { algorithm: caller.introspectionSignedResponseAlg, typ: 'token-introspection+jwt' },
    {
      iss: issuer,
      aud: caller.clientId,
      iat: toNumericDate(now),
      token_introspection: introspection,
    },
  )
