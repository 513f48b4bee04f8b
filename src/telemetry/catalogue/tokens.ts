/** Codes, tokens, the clients that ask for them. */
import { oauthErrors } from '#/protocol/errors.ts'
import { type GrantType, grantTypes, tokenExchangeGrantType } from '#/protocol/grant-types.ts'
import {
  clientAuthenticationMethods,
  clientDecisions,
  dpopResults,
  exchangeResults,
  introspectionResults,
  outcomes,
  refreshResults,
  registrationResults,
  storedTokenTypes,
  tokenRevocationReasons,
} from '#/protocol/vocabulary.ts'
import { databaseBuckets, signingBuckets } from '../buckets.ts'
import { counter, gauge, histogram } from '../series.ts'

/** Client credentials yield access tokens only: there is no user for an ID token, and the client can request another. */
const tokensOfGrant = (grantType: GrantType) =>
  grantType === 'client_credentials' || grantType === tokenExchangeGrantType
    ? (['access'] as const)
    : ([...storedTokenTypes, 'id'] as const)

export const tokens = {
  pushedRequests: counter('authgate.authorization_requests.pushed', {
    unit: '{request}',
    description: 'Pushed authorization requests, and those that a browser used.',
    labels: { event: ['pushed', 'visited'] },
  }),
  requestsWithoutPkce: counter('authgate.authorization_requests.without_pkce', {
    unit: '{request}',
    description:
      'Authorization requests without a code challenge, by whether their client may omit it (RFC 7636).',
    labels: { result: ['accepted', 'refused'] },
  }),
  authorizationCodes: counter('authgate.authorization_codes', {
    unit: '{code}',
    description: 'Authorization codes issued, redeemed, and presented a second time.',
    labels: { event: ['issued', 'redeemed', 'replayed'] },
  }),
  tokensIssued: counter('oauth.tokens.issued', {
    unit: '{token}',
    description: 'Tokens issued to clients.',
    labels: { token_type: [...storedTokenTypes, 'id'], grant_type: grantTypes },
    only: grantTypes.flatMap((grant_type) =>
      tokensOfGrant(grant_type).map((token_type) => ({ token_type, grant_type })),
    ),
  }),
  tokensRefreshed: counter('oauth.tokens.refreshed', {
    unit: '{request}',
    description: 'Refresh requests by outcome; grace is a retry by the same client, reuse is not.',
    labels: { result: refreshResults },
  }),
  tokensRevoked: counter('oauth.tokens.revoked', {
    unit: '{token}',
    description: 'Active tokens revoked before they expired, by rows actually changed.',
    labels: { reason: tokenRevocationReasons, token_type: storedTokenTypes },
    only: tokenRevocationReasons.flatMap((reason) =>
      storedTokenTypes
        .filter((token_type) => reason !== 'rotation' || token_type === 'refresh')
        .map((token_type) => ({ reason, token_type })),
    ),
  }),
  tokensActive: gauge('oauth.tokens.active', {
    unit: '{token}',
    description: 'Stored tokens that would be accepted right now.',
    labels: { token_type: storedTokenTypes },
  }),
  tokenValidation: counter('oauth.token.validation', {
    unit: '{token}',
    description: 'Access tokens presented to this server.',
    labels: { result: ['valid', 'invalid', 'expired'] },
  }),
  tokenValidationDuration: histogram('oauth.token.validation.duration', {
    unit: 's',
    description: 'Time to validate one access token.',
    buckets: databaseBuckets,
  }),
  tokenIntrospections: counter('authgate.token.introspections', {
    unit: '{request}',
    description:
      'Introspected tokens; not_entitled ones are active, but reported as inactive to this client.',
    labels: { result: introspectionResults },
  }),
  tokenExchanges: counter('authgate.token.exchanges', {
    unit: '{request}',
    description:
      'Token exchange requests; not_entitled subject tokens are active, but neither held by the client nor meant for it.',
    labels: { result: exchangeResults },
  }),
  tokenGenerationDuration: histogram('oauth.token.generation.duration', {
    unit: 's',
    description: 'Time to sign one token.',
    buckets: signingBuckets,
  }),
  clientAuthentications: counter('authgate.client.authentications', {
    unit: '{attempt}',
    description: 'Client authentication at the back-channel endpoints.',
    labels: { method: clientAuthenticationMethods, result: outcomes },
  }),
  dpopProofs: counter('authgate.dpop.proofs', {
    unit: '{proof}',
    description: 'DPoP proofs presented to this server, by result.',
    labels: { result: dpopResults },
  }),
  clientRegistrations: counter('authgate.client.registrations', {
    unit: '{request}',
    description: 'Requests to create, update or delete a client registration, by result.',
    labels: { result: registrationResults },
  }),
  clientDecisions: counter('authgate.client.decisions', {
    unit: '{decision}',
    description:
      'Decisions of administrators about clients; returned is a registration that was changed and is pending approval again.',
    labels: { decision: clientDecisions },
  }),
  oauthErrors: counter('authgate.oauth.errors', {
    unit: '{error}',
    description: 'Protocol errors returned, by endpoint and RFC error code.',
    labels: {
      endpoint: Object.keys(oauthErrors) as (keyof typeof oauthErrors)[],
      error: [...new Set(Object.values(oauthErrors).flat())],
    },
    only: Object.entries(oauthErrors).flatMap(([endpoint, errors]) =>
      errors.map((error) => ({ endpoint: endpoint as keyof typeof oauthErrors, error })),
    ),
  }),
}
