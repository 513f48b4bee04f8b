/** Signing in, sessions, telling of their end, consents. */
import type {
  ConsentDecision,
  ConsentFlow,
  ConsentRevoker,
  ExternalApiResult,
  LoginFailureReason,
  LoginMethod,
  LoginSource,
  LogoutDeliveryResult,
  Outcome,
  SessionEndReason,
  UpstreamOperation,
  UpstreamProvider,
  UpstreamResult,
} from '#/protocol/vocabulary.ts'
import { catalogue } from '../catalogue.ts'
import { createCounter, createHistogram, type Instruments } from '../instruments.ts'

interface LoginAttempt {
  readonly method: LoginMethod
  /** Where the account lives; `unknown` when there is no such account. */
  readonly source: LoginSource | 'unknown'
  readonly result: Outcome
  readonly seconds: number
  /** Why it failed. */
  readonly reason?: LoginFailureReason | undefined
}

export function signIns(instruments: Instruments) {
  const attempts = createCounter(instruments, catalogue.authAttempts)
  const logins = createCounter(instruments, catalogue.authLogin)
  const durations = createHistogram(instruments, catalogue.authLoginDuration)
  const failures = createCounter(instruments, catalogue.loginFailures)
  const callbacks = createCounter(instruments, catalogue.upstreamCallbacks)
  const upstream = createHistogram(instruments, catalogue.upstreamDuration)
  return {
    /** Credentials were checked. */
    loginAttempted({ method, source, result, seconds, reason }: LoginAttempt): void {
      attempts({ method, result })
      logins({ auth_source: source, result })
      durations({ method, result }, seconds)
      if (result === 'failure') failures({ reason: reason ?? 'error' })
    },
    /** A sign-in was refused before its credentials were checked. */
    loginRefused(reason: LoginFailureReason): void {
      failures({ reason })
    },
    /** A browser that came back from a provider was answered. */
    upstreamCallback(provider: UpstreamProvider, result: UpstreamResult): void {
      callbacks({ provider, result })
    },
    /** A provider was asked for something, and answered or failed. */
    upstreamRequested(
      provider: UpstreamProvider,
      operation: UpstreamOperation,
      seconds: number,
    ): void {
      upstream({ provider, operation }, seconds)
    },
  }
}

export function externalApi(instruments: Instruments) {
  const durations = createHistogram(instruments, catalogue.externalApiDuration)
  const retries = createCounter(instruments, catalogue.externalApiRetries)
  return {
    /** The API that checks passwords answered, or did not; `seconds` with everything that was tried. */
    externalApiAsked(result: ExternalApiResult, seconds: number): void {
      durations({ result }, seconds)
    },
    /** It is asked once more. */
    externalApiRetried(): void {
      retries({})
    },
  }
}

export function sessions(instruments: Instruments) {
  const created = createCounter(instruments, catalogue.sessionsCreated)
  const expired = createCounter(instruments, catalogue.sessionsExpired)
  const durations = createHistogram(instruments, catalogue.sessionDuration)
  const logouts = createCounter(instruments, catalogue.authLogout)
  return {
    /** A session's row is committed and its cookie saved. */
    sessionStarted(): void {
      created({})
    },
    /** A session ended; recorded by the caller whose guarded UPDATE returned the row. */
    sessionEnded(reason: SessionEndReason, seconds: number): void {
      expired({ reason })
      durations({}, seconds)
      if (reason === 'logout') logouts({})
    },
  }
}

export function logouts(instruments: Instruments) {
  const deliveries = createCounter(instruments, catalogue.logoutDeliveries)
  const durations = createHistogram(instruments, catalogue.logoutDeliveryDuration)
  return {
    /** An attempt to tell a client of the end of a session is over. */
    logoutDelivery(result: LogoutDeliveryResult): void {
      deliveries({ result })
    },
    /** A client knows; `seconds` after the session ended. */
    logoutDelivered(seconds: number): void {
      durations({}, seconds)
    },
  }
}

export function consents(instruments: Instruments) {
  const granted = createCounter(instruments, catalogue.consentGranted)
  const revoked = createCounter(instruments, catalogue.consentRevoked)
  const decisions = createCounter(instruments, catalogue.consentDecisions)
  return {
    /** A consent was saved: a new one, or one that gained scopes. */
    consentGranted(flow: ConsentFlow): void {
      granted({ flow })
    },
    /** A consent was taken back. */
    consentRevoked(actor: ConsentRevoker): void {
      revoked({ actor })
    },
    /** An authorization request that needed consent was answered. */
    consentDecided(decision: ConsentDecision): void {
      decisions({ decision })
    },
  }
}
