/** What has to happen before a client gets its code (OIDC Core §3.1.2.3 and §3.1.2.4): decided from what is stored, by nobody else. */
import type { RequestedAuthorization } from '#/domain/authorization-requests/authorization-requests.ts'
import { authenticationOf } from '#/protocol/authentication.ts'
import { requiredAcr } from '#/protocol/claims.ts'
import type { OAuthErrorCode } from '#/protocol/errors.ts'
import type { LoginSource } from '#/protocol/vocabulary.ts'

export interface Situation {
  readonly request: Pick<RequestedAuthorization, 'interaction' | 'claims'>
  /** When the request was stored; undefined for one that came in just now. */
  readonly askedAt: Date | undefined
  readonly session: Session | undefined
  /** The user of the session, as the client knows them. */
  readonly subject: string | undefined
  /** Whether the user has approved all of it before, and need not be asked again. */
  readonly approved: boolean
  readonly now: Date
}

interface Session {
  readonly id: string
  readonly createdAt: Date
  readonly loginSource: LoginSource
}

interface Refusal {
  readonly code: OAuthErrorCode
  readonly description: string
}

export type NextStep =
  | 'sign_in'
  /** Although somebody is signed in. */
  | 'sign_in_again'
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
  sign_in: { code: 'login_required', description: 'nobody is signed in' },
  sign_in_again: { code: 'login_required', description: 'the user has to sign in again' },
  ask_consent: { code: 'consent_required', description: 'the user has to be asked' },
}

/** Signing in makes a new session: one that is younger than the request proves that its user has just done so. */
function stepBeforeCode({ request, askedAt, session, subject, approved, now }: Situation) {
  if (!session) return 'sign_in'
  const { prompt = [], chosenSession } = request.interaction
  const isFresh = askedAt !== undefined && session.createdAt >= askedAt
  const unmet = unmetBy(session, subject, request)
  if (unmet) return isFresh ? unmet : 'sign_in_again'
  if (!isFresh) {
    if (prompt.includes('login') || isTooOld(session, request, now)) return 'sign_in_again'
    if (prompt.includes('select_account') && chosenSession !== session.id) return 'choose_account'
  }
  return prompt.includes('consent') || !approved ? 'ask_consent' : 'issue_code'
}

/** Why this sign-in will not do; another one may. */
function unmetBy(
  { loginSource }: Session,
  subject: string | undefined,
  { interaction, claims }: Situation['request'],
): Refusal | undefined {
  if (interaction.subject !== undefined && interaction.subject !== subject)
    return { code: 'login_required', description: 'another user is signed in' }
  const acr = requiredAcr(claims)
  if (acr && !acr.includes(authenticationOf(loginSource).acr))
    return {
      code: 'unmet_authentication_requirements',
      description: 'the user signed in in another way',
    }
  return undefined
}

const isTooOld = (
  { createdAt }: Session,
  { interaction: { maxAge } }: Situation['request'],
  now: Date,
) => maxAge !== undefined && now.getTime() - createdAt.getTime() > maxAge * 1000
