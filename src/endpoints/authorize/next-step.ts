/** What has to happen before a client gets its code (OIDC Core §3.1.2.3 and §3.1.2.4): decided from what is stored, by nobody else. */
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
  /** Whether its password is somebody else's choice. */
  readonly mustChangePassword: boolean
  /** The user of the session, as the client knows them. */
  readonly subject: string | undefined
  /** Whether the user has approved all of it before, and need not be asked again. */
  readonly approved: boolean
  /** How long ago they may have proven who they are, in seconds: 0 for anew, undefined if it does not matter. */
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
  /** Although somebody is signed in. */
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
  sign_in: { code: 'login_required', description: 'nobody is signed in' },
  sign_in_again: { code: 'login_required', description: 'the user has to sign in again' },
  change_password: {
    code: 'interaction_required',
    description: 'the user has to choose a password',
  },
  ask_consent: { code: 'consent_required', description: 'the user has to be asked' },
}

interface Entered extends Situation {
  readonly session: Session
  /** Signing in makes a new session: whoever has one that is younger than the request has done what they were asked to. */
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

/** Why this sign-in will not do; another one may. */
function unmetBy({ session, subject, request }: Entered): Refusal | undefined {
  const { interaction, claims } = request
  if (interaction.subject !== undefined && interaction.subject !== subject)
    return { code: 'login_required', description: 'another user is signed in' }
  const acr = requiredAcr(claims)
  if (acr && !acr.includes(authenticationOf(session).acr))
    return {
      code: 'unmet_authentication_requirements',
      description: 'the user signed in in another way',
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
    : { code: 'login_required', description: 'the user did not prove anew who they are' }
}
