/**
 * The Recorder facade: one method for each thing that happens, in the language of the domain; which instruments move is
 * decided here. It is made from a meter and handed on, never imported: an instrument made before its provider is a
 * silent no-op for ever. On the API's no-op meter every method does nothing.
 */
import type { Meter } from '@opentelemetry/api'
import type { OAuthEndpoint, OAuthErrorCode } from '#/protocol/errors.ts'
import type { GrantType } from '#/protocol/grant-types.ts'
import type {
  CacheName,
  ClientAuthenticationMethod,
  ConsentDecision,
  ConsentFlow,
  ConsentRevoker,
  LoginFailureReason,
  LoginMethod,
  LoginSource,
  LogoutDeliveryResult,
  OutboundPurpose,
  OutboundResult,
  PopulationGroup,
  RateLimitedEndpoint,
  RefreshResult,
  SessionEndReason,
  StoredTokenType,
  SweeperTask,
  TokenRevocationReason,
  TokenType,
} from '#/protocol/vocabulary.ts'
import { catalogue } from './catalogue.ts'
import {
  type DatabaseErrorType,
  type DatabaseOperation,
  databaseErrorTypes,
  databaseOperations,
  type HttpMethod,
  type UrlScheme,
} from './conventions.ts'
import {
  createCounter,
  createHistogram,
  createOpenHistogram,
  createUpDownCounter,
  type Instruments,
} from './instruments.ts'
import type { Log } from './log.ts'

export type Recorder = ReturnType<typeof createRecorder>

type Outcome = 'success' | 'failure'
type CacheLookup = 'hit' | 'miss' | 'coalesced' | 'error'

interface LoginAttempt {
  readonly method: LoginMethod
  /** Where the account lives; `unknown` when there is no such account. */
  readonly source: LoginSource | 'unknown'
  readonly result: Outcome
  readonly seconds: number
  /** Why it failed. */
  readonly reason?: LoginFailureReason | undefined
}

export interface HttpRequest {
  readonly method: HttpMethod
  /** The matched template, never the path; undefined when none matched. */
  readonly route: string | undefined
  readonly status: number
  readonly scheme: UrlScheme
  readonly seconds: number
}

/** Makes every instrument of the catalogue that events move. */
export function createRecorder(meter: Meter, log?: Pick<Log, 'warn'>) {
  const instruments: Instruments = { meter, onUnknownLabel: warnOnce(log) }
  return {
    ...signIns(instruments),
    ...sessions(instruments),
    ...logouts(instruments),
    ...consents(instruments),
    ...tokens(instruments),
    ...clients(instruments),
    ...limitsAndCaches(instruments),
    ...housekeeping(instruments),
    ...populations(instruments),
    ...database(instruments),
    ...http(instruments),
  }
}

function signIns(instruments: Instruments) {
  const attempts = createCounter(instruments, catalogue.authAttempts)
  const logins = createCounter(instruments, catalogue.authLogin)
  const durations = createHistogram(instruments, catalogue.authLoginDuration)
  const failures = createCounter(instruments, catalogue.loginFailures)
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
  }
}

function sessions(instruments: Instruments) {
  const created = createCounter(instruments, catalogue.sessionsCreated)
  const expired = createCounter(instruments, catalogue.sessionsExpired)
  const durations = createHistogram(instruments, catalogue.sessionDuration)
  const logouts = createCounter(instruments, catalogue.authLogout)
  return {
    /** A session's row is committed and its cookie saved. */
    sessionStarted(): void {
      created({})
    },
    /** A guarded update ended a session's row; called by whoever got the row back. */
    sessionEnded(reason: SessionEndReason, seconds: number): void {
      expired({ reason })
      durations({}, seconds)
      if (reason === 'logout') logouts({})
    },
  }
}

function logouts(instruments: Instruments) {
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

function consents(instruments: Instruments) {
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

function tokens(instruments: Instruments) {
  const codes = createCounter(instruments, catalogue.authorizationCodes)
  const issued = createCounter(instruments, catalogue.tokensIssued)
  const revoked = createCounter(instruments, catalogue.tokensRevoked)
  const refreshed = createCounter(instruments, catalogue.tokensRefreshed)
  const validated = createCounter(instruments, catalogue.tokenValidation)
  const validationTimes = createHistogram(instruments, catalogue.tokenValidationDuration)
  const signingTimes = createHistogram(instruments, catalogue.tokenGenerationDuration)
  return {
    /** An authorization code was issued, redeemed, or presented once more. */
    authorizationCode(event: 'issued' | 'redeemed' | 'replayed'): void {
      codes({ event })
    },
    /** A token was handed to a client. */
    tokenIssued(tokenType: TokenType, grantType: GrantType): void {
      issued({ token_type: tokenType, grant_type: grantType })
    },
    /** Live tokens were ended: as many rows as really changed. */
    tokensRevoked(reason: TokenRevocationReason, tokenType: StoredTokenType, count: number): void {
      revoked({ reason, token_type: tokenType }, count)
    },
    /** A refresh request that named a refresh token was answered. */
    tokenRefreshed(result: RefreshResult): void {
      refreshed({ result })
    },
    /** An access token was presented to this server. */
    tokenValidated(result: 'valid' | 'invalid' | 'expired', seconds: number): void {
      validated({ result })
      validationTimes({}, seconds)
    },
    /** A token was signed. */
    tokenSigned(seconds: number): void {
      signingTimes({}, seconds)
    },
  }
}

function clients(instruments: Instruments) {
  const authentications = createCounter(instruments, catalogue.clientAuthentications)
  const errors = createCounter(instruments, catalogue.oauthErrors)
  return {
    /** A client proved who it is, or failed to. */
    clientAuthenticated(method: ClientAuthenticationMethod, result: Outcome): void {
      authentications({ method, result })
    },
    /** A protocol error was answered. */
    oauthError(endpoint: OAuthEndpoint, code: OAuthErrorCode): void {
      errors({ endpoint, error: code })
    },
  }
}

function limitsAndCaches(instruments: Instruments) {
  const checks = createCounter(instruments, catalogue.rateLimitChecks)
  const exceeded = createCounter(instruments, catalogue.rateLimitExceeded)
  const lookups = {
    hit: createCounter(instruments, catalogue.cacheHits),
    miss: createCounter(instruments, catalogue.cacheMisses),
    coalesced: createCounter(instruments, catalogue.cacheCoalesced),
    error: createCounter(instruments, catalogue.cacheErrors),
  }
  return {
    /** A request met a limiter; a limiter without a configured name is `unknown`. */
    rateLimitChecked(
      endpoint: RateLimitedEndpoint | undefined,
      result: 'allowed' | 'limited' | 'error',
    ): void {
      const name = endpoint ?? 'unknown'
      checks({ endpoint: name, result })
      if (result === 'limited') exceeded({ endpoint: name })
    },
    /** A cache was asked. A failed load is counted as an error besides the miss that began it. */
    cacheLookup(cacheName: CacheName, outcome: CacheLookup): void {
      lookups[outcome]({ cache_name: cacheName })
    },
  }
}

function housekeeping(instruments: Instruments) {
  const dropped = createCounter(instruments, catalogue.auditEventsDropped)
  const rows = createCounter(instruments, catalogue.sweeperRows)
  const errors = createCounter(instruments, catalogue.sweeperErrors)
  const turns = createHistogram(instruments, catalogue.sweeperDuration)
  const exports = createCounter(instruments, catalogue.exportFailures)
  const outbound = createCounter(instruments, catalogue.outboundRequests)
  const outboundTimes = createHistogram(instruments, catalogue.outboundRequestDuration)
  return {
    /** An address that a client named was asked, or refused. */
    outboundRequested(purpose: OutboundPurpose, result: OutboundResult, seconds: number): void {
      outbound({ purpose, result })
      outboundTimes({ purpose }, seconds)
    },
    /** Audit events could not be written. */
    auditEventsDropped(count: number): void {
      dropped({}, count)
    },
    /** The sweeper ended or deleted rows. */
    sweeperSwept(task: SweeperTask, count: number): void {
      rows({ task }, count)
    },
    /** A task of the sweeper failed. */
    sweeperFailed(task: SweeperTask): void {
      errors({ task })
    },
    /** The sweeper went through all its tasks. */
    sweeperTurn(seconds: number): void {
      turns({}, seconds)
    },
    /** An OTLP export failed after its retries. */
    exportFailed(signal: 'metrics' | 'traces'): void {
      exports({ signal })
    },
  }
}

function populations(instruments: Instruments) {
  const durations = createHistogram(instruments, catalogue.populationQueryDuration)
  const errors = createCounter(instruments, catalogue.databaseQueryErrors)
  return {
    /** The COUNT behind a group of gauges was answered. */
    populationQueried(group: PopulationGroup, seconds: number): void {
      durations({ group }, seconds)
    },
    /** The COUNT behind a group of gauges failed or came too late. */
    populationQueryFailed(group: PopulationGroup): void {
      errors({ operation: `count_${group}` })
    },
  }
}

function database({ meter }: Instruments) {
  const durations = createOpenHistogram(meter, catalogue.databaseOperationDuration)
  const system = { 'db.system.name': 'postgresql' }
  const attributes = new Map(
    databaseOperations.map((operation) => {
      const success = { ...system, 'db.operation.name': operation }
      const failures = databaseErrorTypes.map(
        (type) => [type, { ...success, 'error.type': type }] as const,
      )
      return [operation, { success, failures: new Map(failures) }] as const
    }),
  )
  return {
    /** A statement, or with `BEGIN` a whole transaction, was answered. */
    databaseOperation(
      operation: DatabaseOperation,
      seconds: number,
      errorType?: DatabaseErrorType,
    ): void {
      const known = attributes.get(operation) ?? attributes.get('other')
      const failed = errorType && (known?.failures.get(errorType) ?? known?.failures.get('other'))
      durations.record(Math.max(seconds, 0), failed ?? known?.success)
    },
  }
}

function http(instruments: Instruments) {
  const active = createUpDownCounter(instruments, catalogue.httpActiveRequests)
  const durations = createOpenHistogram(instruments.meter, catalogue.httpRequestDuration)
  return {
    /** A request came in. */
    httpRequestStarted(method: HttpMethod, scheme: UrlScheme): void {
      active({ 'http.request.method': method, 'url.scheme': scheme }, 1)
    },
    /** Its answer is ready. */
    httpRequestEnded({ method, route, status, scheme, seconds }: HttpRequest): void {
      active({ 'http.request.method': method, 'url.scheme': scheme }, -1)
      durations.record(seconds, {
        'http.request.method': method,
        ...(route !== undefined && { 'http.route': route }),
        'http.response.status_code': status,
        'url.scheme': scheme,
      })
    },
  }
}

/** A wrong value is a bug worth one line in the log, not one for each request. */
function warnOnce(log: Pick<Log, 'warn'> | undefined) {
  const told = new Set<string>()
  return (series: string, label: string) => {
    const key = `${series} ${label}`
    if (told.has(key)) return
    told.add(key)
    log?.warn({ series, label }, 'a label value outside its list is counted as other')
  }
}
