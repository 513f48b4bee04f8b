/** The signed forms: JWT access tokens (RFC 9068) and ID tokens (OIDC Core §2). */
import { createHash } from 'node:crypto'
import type { Client } from '#/database/schema/clients.ts'
import type { User } from '#/database/schema/users.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { signJwt } from '#/domain/keys/sign.ts'
import { claimsOf } from '#/domain/users/claims.ts'
import { selectClaims } from '#/protocol/claims.ts'
import { hasScope } from '#/protocol/scopes.ts'
import type { SigningAlgorithm } from '#/protocol/vocabulary.ts'
import type { Token } from './tokens.ts'

/** RFC 7519 §2: NumericDate. */
export const toNumericDate = (date: Date) => Math.floor(date.getTime() / 1000)

export interface AccessTokenContents {
  readonly issuer: string
  readonly token: Token
  /** The user as this client knows them, or the client itself (RFC 9068 §2.2). */
  readonly subject: string
  /** Claims that the client has put in, under one name of their own. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

/** RFC 9068 §2. */
export function signAccessToken(keys: KeySet, contents: AccessTokenContents): Promise<string> {
  const { issuer, token, subject, extra } = contents
  const { amr, acr, actor } = token.details
  return signJwt(
    keys,
    { algorithm: keys.default, typ: 'at+jwt' },
    {
      ...extra,
      iss: issuer,
      sub: subject,
      aud: audienceOf(issuer, token),
      client_id: token.clientId,
      ...(token.scope !== '' && { scope: token.scope }),
      jti: token.id,
      iat: toNumericDate(token.createdAt),
      exp: toNumericDate(token.expiresAt),
      ...(token.authTime && { auth_time: toNumericDate(token.authTime) }),
      ...(acr !== undefined && { acr }),
      ...(amr && { amr }),
      // RFC 9449 §6.1.
      ...(token.dpopJkt !== null && { cnf: { jkt: token.dpopJkt } }),
      // RFC 8693 §4.1.
      ...(actor && { act: actor }),
    },
  )
}

/** What a token is for: the resources that were named (RFC 8707), and this server where it opens userinfo. */
export function audienceOf(
  issuer: string,
  { resources, scope }: Pick<Token, 'resources' | 'scope'>,
): string | string[] {
  if (resources.length === 0) return issuer
  if (hasScope(scope, 'openid')) return [...resources, issuer]
  return resources.length === 1 && resources[0] ? resources[0] : resources
}

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
  const { amr, acr } = access.details
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
      ...(access.authTime && { auth_time: toNumericDate(access.authTime) }),
      ...(acr !== undefined && { acr }),
      ...(amr && { amr }),
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
