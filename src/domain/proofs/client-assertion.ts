/**
 * Client assertions (`private_key_jwt`): RFC 7523 §3 and OIDC Core §9, held to RFC 9700 §2.5 and the FAPI 2.0 Security
 * Profile: signed by the client's own key, meant for us, short-lived, used once.
 */
import type { JWTPayload } from 'jose'
import type { Database } from '#/database/client.ts'
import type { ClientKeys, KeyedClient } from '#/domain/clients/client-keys.ts'
import {
  algorithmsOf,
  clockSkewSeconds,
  jwtType,
  ProofError,
  ReplayedProofError,
} from '#/protocol/proofs.ts'
import { consumeProof } from './used-proofs.ts'

interface AssertingClient extends KeyedClient {
  readonly tokenEndpointAuthSigningAlg: string | null
}

export interface PresentedAssertion {
  readonly assertion: string
  readonly client: AssertingClient
  /** What may stand in `aud`: the issuer, and the addresses by which clients know the endpoint. */
  readonly audiences: readonly string[]
  readonly now: Date
}

/** How far ahead `exp` may be: how long a `jti` has to be remembered. */
const maxSeconds = 60 * 60

/** Throws a `ProofError` unless the client has proven itself, for the first time with this assertion. */
export async function verifyClientAssertion(
  db: Database,
  keys: ClientKeys,
  { assertion, client, audiences, now }: PresentedAssertion,
): Promise<void> {
  const { clientId, tokenEndpointAuthSigningAlg: registered } = client
  const options = {
    algorithms: algorithmsOf(registered),
    issuer: clientId,
    subject: clientId,
    audience: [...audiences],
    requiredClaims: ['exp', 'jti'],
    clockTolerance: clockSkewSeconds,
    currentDate: now,
  }
  const verified = await keys.verify(client, assertion, options).catch((cause: unknown) => {
    throw new ProofError('the client assertion is not valid', { cause })
  })
  // The second name comes with the successor of RFC 7523.
  if (!['jwt', 'client-authentication+jwt'].includes(jwtType(verified.protectedHeader.typ)))
    throw new ProofError('the client assertion is a JWT of another type')
  const { jti, expiresAt } = requireBounds(verified.payload, audiences, now)
  if (!(await consumeProof(db, { kind: 'client_assertion', owner: clientId, jti, expiresAt })))
    throw new ReplayedProofError('the client assertion was used before')
}

function requireBounds(
  { aud, exp = 0, iat, jti }: JWTPayload,
  audiences: readonly string[],
  now: Date,
) {
  const seconds = now.getTime() / 1000
  // Whoever else is named could present it to us (RFC 9700 §4.17 warns of the like).
  if (![aud].flat().every((audience) => audience !== undefined && audiences.includes(audience)))
    throw new ProofError('the client assertion has further audiences')
  if (exp > seconds + maxSeconds) throw new ProofError('the client assertion lives too long')
  if (iat !== undefined && iat > seconds + clockSkewSeconds)
    throw new ProofError('the client assertion was issued in the future')
  if (typeof jti !== 'string' || jti === '') throw new ProofError('the client assertion has no jti')
  return { jti, expiresAt: new Date((exp + clockSkewSeconds) * 1000) }
}
