/** The next step before a client gets its code (OIDC Core §3.1.2.3 and §3.1.2.4), decided here alone, from stored state. */
import type { RequestedAuthorization } from '#/domain/authorization-requests/authorization-requests.ts'
import { authenticationOf } from '#/protocol/authentication.ts'
import { requiredAcr } from '#/protocol/claims.ts'
import type { OAuthErrorCode } from '#/protocol/errors.ts'
import type { SignedIn } from '#/web/request/context.ts'

export interface Situation {
  readonly request: Pick<RequestedAuthorization, 'interaction' | 'claims'>
  /** When the request was stored; undefined for one that came in just now. */
  readonly askedAt: Date | undefined
  readonly session: Session | undefined
  /** Whether the session began with a temporary password. */
  readonly mustChangePassword: boolean
  /** The user of the session, as the client knows them. */
  readonly subject: string | undefined
  /** Whether a stored consent covers the request. */
  readonly approved: boolean
  /** Maximum age of the authentication in seconds: 0 forces a new one, undefined allows any. */
  readonly maxAge: number | undefined
  readonly now: Date
}

type Session = Pick<SignedIn['session'], 'id' | 'createdAt' | 'loginSource' | 'authTime'>

interface Refusal {
  readonly code: OAuthErrorCode
  readonly description: string
}

export type NextStep =
  | 'sign_in'
  /** Although there is a session. */
  | 'sign_in_again'
  | 'change_password'
  | 'choose_account'
  | 'ask_consent'
  | 'issue_code'
  | Refusal

export function nextStep(situation: Situation): NextStep {
  const { prompt = [] } = situation.request.interaction
  const step = stepBeforeCode(situation)
  // OIDC Core §3.1.2.1: no page is ever shown.
  return prompt.includes('none') && typeof step === 'string' ? (silent[step] ?? step) : step
}

const silent: Readonly<Record<string, Refusal>> = {
  sign_in: { code: 'login_required', description: 'the user is not signed in' },
  sign_in_again: { code: 'login_required', description: 'the user has to sign in again' },
  change_password: {
    code: 'interaction_required',
    description: 'the user has to choose a new password',
  },
  ask_consent: { code: 'consent_required', description: 'the user has to give consent' },
}

/** A session that is younger than the stored request shows that the user has signed in for it. */
function stepBeforeCode(situation: Situation) {
  const { request, askedAt, session, subject, approved } = situation
  if (!session) return 'sign_in'
  if (situation.mustChangePassword) return 'change_password'
  const { prompt = [], chosenSession } = request.interaction
  const isFresh = askedAt !== undefined && session.createdAt >= askedAt
  const unmet = unmetBy(session, subject, request) ?? staleBy(session, situation, isFresh)
  if (unmet) return isFresh ? unmet : 'sign_in_again'
  if (!isFresh && prompt.includes('select_account') && chosenSession !== session.id)
    return 'choose_account'
  return prompt.includes('consent') || !approved ? 'ask_consent' : 'issue_code'
}

/** Why this sign-in does not satisfy the request; another one may. */
function unmetBy(
  session: Session,
  subject: string | undefined,
  { interaction, claims }: Situation['request'],
): Refusal | undefined {
  if (interaction.subject !== undefined && interaction.subject !== subject)
    return { code: 'login_required', description: 'another user is signed in' }
  const acr = requiredAcr(claims)
  if (acr && !acr.includes(authenticationOf(session).acr))
    return {
      code: 'unmet_authentication_requirements',
      description: 'the user signed in with another method',
    }
  return undefined
}

/**
 * OIDC Core §3.1.2.1: an error, rather than a time that may not be true. A new session proves nothing by itself: its user
 * may have come from a provider that asked them nothing.
 */
function staleBy(
  session: Session,
  { askedAt, maxAge, now }: Situation,
  isFresh: boolean,
): Refusal | undefined {
  const { authTime } = authenticationOf(session)
  if (maxAge === undefined || (authTime && askedAt && authTime >= askedAt)) return undefined
  // Who was asked to sign in did so with what was good enough when they were asked.
  const at = isFresh && askedAt ? askedAt : now
  const isYoung = authTime !== null && at.getTime() - authTime.getTime() <= maxAge * 1000
  return isYoung && maxAge > 0
    ? undefined
    : { code: 'login_required', description: 'the user did not authenticate again' }
}
