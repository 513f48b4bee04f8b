/** The signed forms: JWT access tokens (RFC 9068) and ID tokens (OIDC Core §2). */
import { createHash } from 'node:crypto'
import type { Client } from '#/database/schema/clients.ts'
import type { User } from '#/database/schema/users.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { signJwt } from '#/domain/keys/sign.ts'
import { claimsOf } from '#/domain/users/claims.ts'
import { selectClaims } from '#/protocol/claims.ts'
import type { SigningAlgorithm } from '#/protocol/vocabulary.ts'
import { authenticationOf, claimsOfToken, toNumericDate } from './token-claims.ts'
import type { Token } from './tokens.ts'

export interface AccessTokenContents {
  readonly issuer: string
  readonly token: Token
  /** The user as this client knows them, or the client itself (RFC 9068 §2.2). */
  readonly subject: string
  /** Claims that the client has put in, under one name of their own. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

/** RFC 9068 §2. What the client has put in can pass for nothing that this server says. */
export const signAccessToken = (
  keys: KeySet,
  { issuer, token, subject, extra }: AccessTokenContents,
): Promise<string> =>
  signJwt(
    keys,
    { algorithm: keys.default, typ: 'at+jwt' },
    { ...extra, ...claimsOfToken(token, issuer, subject) },
  )

export interface IdTokenContents {
  readonly issuer: string
  readonly subject: string
  readonly user: User
  /** The access token's row, and its signed form for `at_hash`. */
  readonly access: Token
  readonly accessToken: string
  readonly nonce: string | null
  readonly algorithm: SigningAlgorithm
}

/** OIDC Core §2 and §3.1.3.6. What the scope tells is told by userinfo (§5.4): here is only what was asked for by name. */
export function signIdToken(keys: KeySet, contents: IdTokenContents): Promise<string> {
  const { issuer, subject, user, access, accessToken, nonce, algorithm } = contents
  return signJwt(
    keys,
    { algorithm, typ: 'JWT' },
    {
      ...claimsOf(user, selectClaims('', access.details.claims?.id_token)),
      iss: issuer,
      sub: subject,
      aud: access.clientId,
      jti: crypto.randomUUID(),
      iat: toNumericDate(access.createdAt),
      exp: toNumericDate(access.expiresAt),
      at_hash: tokenHash(accessToken, algorithm),
      ...authenticationOf(access),
      ...(nonce !== null && { nonce }),
      ...(access.sessionId !== null && { sid: access.sessionId }),
    },
  )
}

/** OIDC Core §3.1.3.6: the left half of a digest, by the hash that the signature uses (Ed25519: SHA-512). */
function tokenHash(token: string, algorithm: SigningAlgorithm): string {
  const digest = createHash(algorithm === 'EdDSA' ? 'sha512' : 'sha256')
    .update(token)
    .digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

export interface LogoutTokenContents {
  readonly issuer: string
  readonly client: Pick<Client, 'clientId' | 'idTokenSignedResponseAlg'>
  readonly subject: string
  readonly sid: string
  readonly jti: string
  readonly now: Date
}

const logoutTokenSeconds = 120

/** OIDC Back-Channel Logout §2.4: never with a nonce. */
export function signLogoutToken(keys: KeySet, contents: LogoutTokenContents): Promise<string> {
  const { issuer, client, subject, sid, jti, now } = contents
  return signJwt(
    keys,
    { algorithm: client.idTokenSignedResponseAlg, typ: 'logout+jwt' },
    {
      iss: issuer,
      sub: subject,
      aud: client.clientId,
      sid,
      jti,
      iat: toNumericDate(now),
      exp: toNumericDate(now) + logoutTokenSeconds,
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    },
  )
}
