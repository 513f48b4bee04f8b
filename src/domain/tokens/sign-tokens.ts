/** The signed forms: JWT access tokens (RFC 9068) and ID tokens (OIDC Core §2). */
import { createHash } from 'node:crypto'
import { type JWTPayload, jwtVerify, SignJWT } from 'jose'
import type { User } from '#/database/schema/users.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { userClaims } from '#/domain/users/claims.ts'
import type { Token } from './tokens.ts'

const seconds = (date: Date) => Math.floor(date.getTime() / 1000)

/** RFC 9068 §2. The audience is this server itself: the token opens its userinfo endpoint. */
export function signAccessToken(keys: KeySet, issuer: string, token: Token): Promise<string> {
  return sign(keys, 'at+jwt', {
    iss: issuer,
    sub: token.userId ?? token.clientId,
    aud: issuer,
    client_id: token.clientId,
    scope: token.scope,
    jti: token.id,
    iat: seconds(token.createdAt),
    exp: seconds(token.expiresAt),
    ...(token.authTime && { auth_time: seconds(token.authTime) }),
  })
}

export interface IdTokenContents {
  readonly issuer: string
  readonly user: User
  /** The access token's row, and its signed form for `at_hash`. */
  readonly access: Token
  readonly accessToken: string
  readonly nonce: string | null
}

/** OIDC Core §2 and §3.1.3.6, with the claims that the scope asks for (§5.4). */
export function signIdToken(keys: KeySet, contents: IdTokenContents): Promise<string> {
  const { issuer, user, access, accessToken, nonce } = contents
  const digest = createHash('sha256').update(accessToken).digest()
  return sign(keys, 'JWT', {
    ...userClaims(user, access.scope),
    iss: issuer,
    sub: user.id,
    aud: access.clientId,
    jti: crypto.randomUUID(),
    iat: seconds(access.createdAt),
    exp: seconds(access.expiresAt),
    at_hash: digest.subarray(0, 16).toString('base64url'),
    ...(access.authTime && { auth_time: seconds(access.authTime) }),
    ...(nonce !== null && { nonce }),
    ...(access.sessionId !== null && { sid: access.sessionId }),
  })
}

export type VerifiedAccessToken =
  | { readonly result: 'valid'; readonly id: string }
  | { readonly result: 'invalid' | 'expired' }

/** RFC 9068 §4: signature, type, issuer, audience and lifetime. Whether it is still live is the database's word. */
export async function verifyAccessToken(
  keys: KeySet,
  issuer: string,
  token: string,
): Promise<VerifiedAccessToken> {
  try {
    const { payload } = await jwtVerify(token, ({ kid }) => keyOf(keys, kid), {
      typ: 'at+jwt',
      algorithms: ['ES256'],
      issuer,
      audience: issuer,
      requiredClaims: ['exp', 'jti'],
    })
    return isUuid(payload.jti) ? { result: 'valid', id: payload.jti } : { result: 'invalid' }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    return { result: code === 'ERR_JWT_EXPIRED' ? 'expired' : 'invalid' }
  }
}

function keyOf(keys: KeySet, kid: string | undefined) {
  const key = kid === undefined ? undefined : keys.byId.get(kid)
  if (!key) throw new Error('unknown key')
  return key.publicKey
}

const sign = ({ current }: KeySet, typ: string, claims: JWTPayload): Promise<string> =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: current.algorithm, kid: current.kid, typ })
    .sign(current.privateKey)

const isUuid = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)
