/**
 * DPoP (RFC 9449) at our own endpoints: the header is read and verified before anything is done for the request, its
 * `jti` is used up when everything else about the request is right.
 */
import type { Database } from '#/database/client.ts'
import { consumeProof } from '#/domain/proofs/used-proofs.ts'
import { type DpopProof, verifyDpopProof } from '#/protocol/dpop.ts'
import type { DpopNonces } from '#/protocol/dpop-nonces.ts'
import { type ErrorStatus, OAuthError } from '#/protocol/errors.ts'
import { ReplayedProofError } from '#/protocol/proofs.ts'
import type { AppContext } from '#/web/request/context.ts'

export interface DpopOptions {
  readonly db: Database
  readonly issuer: string
  readonly nonces: DpopNonces
  readonly requireNonce: boolean
}

interface Circumstances {
  /** The access token that comes along, at a resource. */
  readonly accessToken?: string
  /** RFC 9449 §5 and §7.1: 400 where tokens are asked for, 401 where they are shown. */
  readonly status: ErrorStatus
}

/**
 * The proof in the header, verified but for its single use; undefined without one. Throws `invalid_dpop_proof`, or
 * `use_dpop_nonce` with the nonce to use.
 */
export async function readDpopProof(
  c: AppContext,
  { issuer, nonces, requireNonce }: DpopOptions,
  { accessToken, status }: Circumstances,
): Promise<DpopProof | undefined> {
  const header = c.req.header('dpop')
  if (header === undefined) return undefined
  const { now, recorder } = c.var
  // RFC 9449 §8.2: a fresh one with every answer, so that an active client never has to ask for it.
  if (requireNonce) c.header('dpop-nonce', nonces.current(now))
  // Two headers arrive joined by a comma, which is no JWT (RFC 9449 §4.3 point 1).
  const verified = await verifyDpopProof(header, {
    method: c.req.method,
    url: `${issuer}${c.req.path}`,
    accessToken,
    nonces: requireNonce ? nonces : undefined,
    now,
  })
  if (verified.result === 'valid') return verified.proof
  recorder.dpopProven(verified.result)
  if (verified.result === 'nonce_missing')
    throw new OAuthError('use_dpop_nonce', 'use the nonce of this response', { status })
  throw new OAuthError('invalid_dpop_proof', 'the DPoP proof is not valid', {
    status,
    cause: verified.cause,
  })
}

/** Uses up the `jti`: of any number of requests with the same proof, one gets through. */
export async function consumeDpopProof(
  c: AppContext,
  db: Database,
  { proof, status }: { readonly proof: DpopProof; readonly status: ErrorStatus },
): Promise<void> {
  const { jkt, jti, expiresAt } = proof
  const isFirst = await consumeProof(db, { kind: 'dpop', owner: jkt, jti, expiresAt })
  c.var.recorder.dpopProven(isFirst ? 'accepted' : 'replayed')
  if (!isFirst)
    throw new OAuthError('invalid_dpop_proof', 'the DPoP proof was used before', {
      status,
      cause: new ReplayedProofError('the DPoP proof was used before'),
    })
}
