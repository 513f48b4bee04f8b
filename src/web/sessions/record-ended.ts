import type { EndedSession } from '#/domain/access-revocation/end-sessions.ts'
import type { RevokedTokens } from '#/domain/tokens/revoke-tokens.ts'
import { type ConsentRevoker, storedTokenTypes } from '#/protocol/vocabulary.ts'
import type { Recorder } from '#/telemetry/recorder.ts'

/** Records the sessions that a committed change has ended, and the tokens that ended with them. */
export function recordEndedSessions(recorder: Recorder, ended: readonly EndedSession[]): void {
  for (const { reason, seconds, tokens } of ended) {
    recorder.sessionEnded(reason, seconds)
    recordRevokedTokens(recorder, tokens)
  }
}

/** Records the tokens that a committed change has ended. */
export function recordRevokedTokens(recorder: Recorder, revoked: RevokedTokens): void {
  for (const type of storedTokenTypes) {
    if (revoked[type] > 0) recorder.tokensRevoked(revoked.reason, type, revoked[type])
  }
}

/** What users and clients lose together. */
interface EndedAccess {
  readonly tokens: RevokedTokens
  readonly deviceCodes: number
  readonly consents: number
}

/** Records the tokens and consents that a committed change has ended. */
export function recordEndedAccess(
  recorder: Recorder,
  { tokens, deviceCodes, consents }: EndedAccess,
  actor: ConsentRevoker,
): void {
  recordRevokedTokens(recorder, tokens)
  if (deviceCodes > 0) recorder.deviceCodesEnded('denied', deviceCodes)
  for (let n = 0; n < consents; n += 1) recorder.consentRevoked(actor)
}
