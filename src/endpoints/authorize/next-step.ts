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

interface Entered extends Situation {
  readonly session: Session
  /** A session that is younger than the stored request shows that the user has signed in for it. */
  readonly isFresh: boolean
}

/** What may have to happen first, in this order. */
function stepBeforeCode(situation: Situation): NextStep {
  const { session, askedAt } = situation
  if (!session) return 'sign_in' // OIDC Core §3.1.2.3
  const isFresh = askedAt !== undefined && session.createdAt >= askedAt
  const entered = { ...situation, session, isFresh }
  return (
    changePassword(entered) ?? // ours
    signInAgain(entered) ?? // OIDC Core §3.1.2.1: id_token_hint, acr, max_age and prompt=login
    chooseAccount(entered) ?? // OIDC Core §3.1.2.1: prompt=select_account
    askConsent(entered) ?? // OIDC Core §3.1.2.4
    'issue_code' // OIDC Core §3.1.2.5
  )
}

const changePassword = ({ mustChangePassword }: Entered) =>
  mustChangePassword ? 'change_password' : undefined

function signInAgain(entered: Entered): NextStep | undefined {
  const unmet = unmetBy(entered) ?? staleBy(entered)
  return unmet && !entered.isFresh ? 'sign_in_again' : unmet
}

const chooseAccount = ({ request: { interaction }, session, isFresh }: Entered) =>
  !isFresh &&
  interaction.prompt?.includes('select_account') &&
  interaction.chosenSession !== session.id
    ? 'choose_account'
    : undefined

const askConsent = ({ request: { interaction }, approved }: Entered) =>
  interaction.prompt?.includes('consent') || !approved ? 'ask_consent' : undefined

/** Why this sign-in does not satisfy the request; another one may. */
function unmetBy({ session, subject, request }: Entered): Refusal | undefined {
  const { interaction, claims } = request
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
function staleBy({ session, askedAt, maxAge, isFresh, now }: Entered): Refusal | undefined {
  const { authTime } = authenticationOf(session)
  if (maxAge === undefined || (authTime && askedAt && authTime >= askedAt)) return undefined
  // Who was asked to sign in did so with what was good enough when they were asked.
  const at = isFresh && askedAt ? askedAt : now
  const isYoung = authTime !== null && at.getTime() - authTime.getTime() <= maxAge * 1000
  return isYoung && maxAge > 0
    ? undefined
    : { code: 'login_required', description: 'the user did not authenticate again' }
}
