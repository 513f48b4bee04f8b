/** Codes, tokens, the clients that ask for them. */
import type { OAuthEndpoint, OAuthErrorCode } from '#/protocol/errors.ts'
import type { GrantType } from '#/protocol/grant-types.ts'
import type {
  ClientAuthenticationMethod,
  ClientDecision,
  DpopResult,
  ExchangeResult,
  IntrospectionResult,
  Outcome,
  RefreshResult,
  RegistrationResult,
  StoredTokenType,
  TokenRevocationReason,
  TokenType,
} from '#/protocol/vocabulary.ts'
import { catalogue } from '../catalogue.ts'
import { createCounter, createHistogram, type Instruments } from '../instruments.ts'

export function tokens(instruments: Instruments) {
  const pushed = createCounter(instruments, catalogue.pushedRequests)
  const withoutPkce = createCounter(instruments, catalogue.requestsWithoutPkce)
  const codes = createCounter(instruments, catalogue.authorizationCodes)
  const issued = createCounter(instruments, catalogue.tokensIssued)
  const revoked = createCounter(instruments, catalogue.tokensRevoked)
  const refreshed = createCounter(instruments, catalogue.tokensRefreshed)
  const validated = createCounter(instruments, catalogue.tokenValidation)
  const validationTimes = createHistogram(instruments, catalogue.tokenValidationDuration)
  const introspections = createCounter(instruments, catalogue.tokenIntrospections)
  const exchanges = createCounter(instruments, catalogue.tokenExchanges)
  const signingTimes = createHistogram(instruments, catalogue.tokenGenerationDuration)
  return {
    /** A client has pushed an authorization request, or a browser came with it for the first time. */
    authorizationRequestPushed(event: 'pushed' | 'visited'): void {
      pushed({ event })
    },
    /** An authorization request came without a code challenge. */
    requestedWithoutPkce(result: 'accepted' | 'refused'): void {
      withoutPkce({ result })
    },
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
    /** A client that proved who it is asked about a token. */
    tokenIntrospected(result: IntrospectionResult): void {
      introspections({ result })
    },
    /** A client asked to exchange a token. */
    tokenExchanged(result: ExchangeResult): void {
      exchanges({ result })
    },
    /** A token was signed. */
    tokenSigned(seconds: number): void {
      signingTimes({}, seconds)
    },
  }
}

export function clients(instruments: Instruments) {
  const authentications = createCounter(instruments, catalogue.clientAuthentications)
  const proofs = createCounter(instruments, catalogue.dpopProofs)
  const registrations = createCounter(instruments, catalogue.clientRegistrations)
  const decisions = createCounter(instruments, catalogue.clientDecisions)
  const errors = createCounter(instruments, catalogue.oauthErrors)
  return {
    /** A client proved who it is, or failed to. */
    clientAuthenticated(method: ClientAuthenticationMethod, result: Outcome): void {
      authentications({ method, result })
    },
    /** A client showed that it holds a key, or failed to. */
    dpopProven(result: DpopResult): void {
      proofs({ result })
    },
    /** A client registered, changed or ended its registration, or was refused. */
    registration(result: RegistrationResult): void {
      registrations({ result })
    },
    /** It was decided whether a client may do anything. */
    clientDecided(decision: ClientDecision): void {
      decisions({ decision })
    },
    /** A protocol error was answered. */
    oauthError(endpoint: OAuthEndpoint, code: OAuthErrorCode): void {
      errors({ endpoint, error: code })
    },
  }
}
