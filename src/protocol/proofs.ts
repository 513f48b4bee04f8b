/** What signed proofs have in common: DPoP proofs, client assertions, request objects. */
import { clientSigningAlgorithms } from './vocabulary.ts'

/** What they may be signed with: asymmetric algorithms only (RFC 8725 §3.2). RFC 9864 renames EdDSA. */
export const proofSigningAlgorithms = [...clientSigningAlgorithms, 'Ed25519'] as const

/** Those that a client may use: the registered one, by either of its names, or any. */
export function algorithmsOf(registered: string | null): string[] {
  if (registered === null) return [...proofSigningAlgorithms]
  return registered === 'EdDSA' ? ['EdDSA', 'Ed25519'] : [registered]
}

/** What a JWT says it is (RFC 7515 §4.1.9), so that none made for one purpose passes for another (RFC 8725 §3.11). */
export const jwtType = (typ: string | undefined): string =>
  typ?.toLowerCase().replace(/^application\//, '') ?? 'jwt'

/** How far the clocks of a client and of this server may be apart. */
export const clockSkewSeconds = 30

/** A proof that does not hold; the message is for the log, never for who sent it. */
export class ProofError extends Error {
  override readonly name: string = 'ProofError'
}

/** One that was good, once. */
export class ReplayedProofError extends ProofError {
  override readonly name = 'ReplayedProofError'
}
