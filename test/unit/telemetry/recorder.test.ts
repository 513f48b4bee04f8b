import { createNoopMeter } from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { catalogue } from '#/telemetry/catalogue.ts'
import { prometheusLabel, prometheusName } from '#/telemetry/prometheus-name.ts'
import { createRecorder, type Recorder } from '#/telemetry/recorder.ts'
import { combinations, type Series } from '#/telemetry/series.ts'
import { rememberingLog, testMetrics } from './metrics-support.ts'
import { changes, sampleKey } from './prometheus-samples.ts'

const keysOf = (series: Series) =>
  combinations(series).map((labels) =>
    sampleKey(
      prometheusName(series),
      Object.fromEntries(
        Object.entries(labels).map(([name, value]) => [prometheusLabel(name), value]),
      ),
    ),
  )

const isPreset = ({ kind }: Series) => kind === 'counter' || kind === 'upDownCounter'

const moved = async (act: (recorder: Recorder) => void) => {
  const metrics = testMetrics()
  const recorder = createRecorder(metrics.meter)
  const before = await metrics.scrape()
  act(recorder)
  const all = Object.entries(changes(before, await metrics.scrape()))
  return Object.fromEntries(
    all.filter(([key]) => !key.includes('_bucket') && !key.includes('_sum')),
  )
}

describe('the first scrape', () => {
  it('has every valid combination of every counter, at 0, and nothing else', async () => {
    const metrics = testMetrics()
    createRecorder(metrics.meter)
    const samples = await metrics.scrape()
    const expected = Object.values(catalogue).filter(isPreset).flatMap(keysOf)
    const found = [...samples.keys()].filter((key) => !key.startsWith('target_info'))
    expect(found.sort()).toEqual(expected.sort())
    expect(found.filter((key) => samples.get(key) !== 0)).toEqual([])
  })

  it('has no sign-in of an unknown account that succeeded, and no rotated access token', async () => {
    const metrics = testMetrics()
    createRecorder(metrics.meter)
    const keys = [...(await metrics.scrape()).keys()]
    expect(keys).toContain('auth_login_total{auth_source="unknown",result="failure"}')
    expect(keys).not.toContain('auth_login_total{auth_source="unknown",result="success"}')
    expect(keys).not.toContain('oauth_tokens_revoked_total{reason="rotation",token_type="access"}')
  })
})

const events: [string, (recorder: Recorder) => void, Record<string, number>][] = [
  [
    'a sign-in',
    (r) => r.loginAttempted({ method: 'local', source: 'local', result: 'success', seconds: 0.1 }),
    {
      'auth_attempts_total{method="local",result="success"}': 1,
      'auth_login_total{auth_source="local",result="success"}': 1,
      'auth_login_duration_seconds_count{method="local",result="success"}': 1,
    },
  ],
  [
    'an error that nobody caught',
    (r) => r.uncaughtError('rejection'),
    { 'authgate_uncaught_errors_total{kind="rejection"}': 1 },
  ],
  [
    'a form that another site sent',
    (r) => r.requestRefused('cross_site_form'),
    { 'authgate_refusals_total{kind="cross_site_form"}': 1 },
  ],
  [
    'a row that a full table has no room for',
    (r) => r.rowRefused('device_codes'),
    { 'authgate_rows_refused_total{table="device_codes"}': 1 },
  ],
  [
    'a connection too many',
    (r) => r.connectionRefused('address'),
    { 'authgate_connections_refused_total{limit="address"}': 1 },
  ],
  [
    'somebody who came back from a provider',
    (r) => r.upstreamCallback('gitlab', 'registered'),
    { 'auth_oauth_callback_total{provider="gitlab",result="registered"}': 1 },
  ],
  [
    'an answer of a provider',
    (r) => r.upstreamRequested('oidc', 'token', 0.1),
    { 'authgate_upstream_request_duration_seconds_count{operation="token",provider="oidc"}': 1 },
  ],
  [
    'a failed sign-in',
    (r) =>
      r.loginAttempted({
        method: 'local',
        source: 'unknown',
        result: 'failure',
        reason: 'unknown_user',
        seconds: 0.1,
      }),
    {
      'auth_attempts_total{method="local",result="failure"}': 1,
      'auth_login_total{auth_source="unknown",result="failure"}': 1,
      'auth_login_duration_seconds_count{method="local",result="failure"}': 1,
      'authgate_login_failures_total{reason="unknown_user"}': 1,
    },
  ],
  [
    'a refused sign-in, which is no attempt',
    (r) => r.loginRefused('rate_limited'),
    { 'authgate_login_failures_total{reason="rate_limited"}': 1 },
  ],
  [
    'an answer of the API that checks passwords, after a retry',
    (r) => {
      r.externalApiRetried()
      r.externalApiAsked('unavailable', 1.5)
    },
    {
      auth_external_api_retries_total: 1,
      'auth_external_api_duration_seconds_count{result="unavailable"}': 1,
    },
  ],
  ['a started session', (r) => r.sessionStarted(), { sessions_created_total: 1 }],
  [
    'a signed-out session',
    (r) => r.sessionEnded('logout', 90),
    {
      'sessions_expired_total{reason="logout"}': 1,
      session_duration_seconds_count: 1,
      auth_logout_total: 1,
    },
  ],
  [
    'an idle session, which is no logout',
    (r) => r.sessionEnded('idle_timeout', 1800),
    { 'sessions_expired_total{reason="idle_timeout"}': 1, session_duration_seconds_count: 1 },
  ],
  [
    'a session that another clock says ended before it began',
    (r) => r.sessionEnded('timeout', -5),
    { 'sessions_expired_total{reason="timeout"}': 1, session_duration_seconds_count: 1 },
  ],
  [
    'a client that was told of a sign-out',
    (r) => {
      r.logoutDelivery('delivered')
      r.logoutDelivered(0.2)
    },
    {
      'authgate_logout_deliveries_total{result="delivered"}': 1,
      authgate_logout_delivery_duration_seconds_count: 1,
    },
  ],
  [
    'a consent',
    (r) => r.consentGranted('authorization_code'),
    { 'oauth_consent_granted_total{flow="authorization_code"}': 1 },
  ],
  [
    'a revoked consent',
    (r) => r.consentRevoked('admin'),
    { 'oauth_consent_revoked_total{actor="admin"}': 1 },
  ],
  [
    'a denied consent',
    (r) => r.consentDecided('denied'),
    { 'authgate_consent_decisions_total{decision="denied"}': 1 },
  ],
  [
    'a pushed request',
    (r) => r.authorizationRequestPushed('pushed'),
    { 'authgate_authorization_requests_pushed_total{event="pushed"}': 1 },
  ],
  [
    'a request without PKCE',
    (r) => r.requestedWithoutPkce('accepted'),
    { 'authgate_authorization_requests_without_pkce_total{result="accepted"}': 1 },
  ],
  [
    'a replayed code',
    (r) => r.authorizationCode('replayed'),
    { 'authgate_authorization_codes_total{event="replayed"}': 1 },
  ],
  [
    'an issued token',
    (r) => r.tokenIssued('id', 'authorization_code'),
    { 'oauth_tokens_issued_total{grant_type="authorization_code",token_type="id"}': 1 },
  ],
  [
    'three revoked tokens',
    (r) => r.tokensRevoked('reuse', 'access', 3),
    { 'oauth_tokens_revoked_total{reason="reuse",token_type="access"}': 3 },
  ],
  ['no revoked tokens', (r) => r.tokensRevoked('reuse', 'access', 0), {}],
  ['a number that is none', (r) => r.tokensRevoked('reuse', 'access', Number.NaN), {}],
  [
    'a refresh',
    (r) => r.tokenRefreshed('grace'),
    { 'oauth_tokens_refreshed_total{result="grace"}': 1 },
  ],
  [
    'a checked token',
    (r) => r.tokenValidated('expired', 0.002),
    {
      'oauth_token_validation_total{result="expired"}': 1,
      oauth_token_validation_duration_seconds_count: 1,
    },
  ],
  [
    'a signed token',
    (r) => r.tokenSigned(0.0004),
    { oauth_token_generation_duration_seconds_count: 1 },
  ],
  [
    'a device that got its code',
    (r) => r.deviceCodeRequested('success'),
    { 'oauth_device_codes_total{result="success"}': 1 },
  ],
  [
    'a user code that does not work',
    (r) => r.userCodeEntered('refused'),
    { 'authgate_device_codes_entered_total{result="refused"}': 1 },
  ],
  [
    'an approved device',
    (r) => r.deviceCodeAuthorized(45),
    {
      oauth_device_codes_authorized_total: 1,
      oauth_device_code_authorization_duration_seconds_count: 1,
    },
  ],
  [
    'a device that asks too often',
    (r) => r.deviceCodePolled('slow_down'),
    { 'oauth_device_code_validation_total{result="slow_down"}': 1 },
  ],
  [
    'two device codes that nobody redeemed in time',
    (r) => r.deviceCodesEnded('expired', 2),
    { 'authgate_device_codes_ended_total{result="expired"}': 2 },
  ],
  [
    'a client that failed to authenticate',
    (r) => r.clientAuthenticated('client_secret_basic', 'failure'),
    { 'authgate_client_authentications_total{method="client_secret_basic",result="failure"}': 1 },
  ],
  [
    'a client that registered itself',
    (r) => r.registration('created'),
    { 'authgate_client_registrations_total{result="created"}': 1 },
  ],
  [
    'a client that was approved',
    (r) => r.clientDecided('approved'),
    { 'authgate_client_decisions_total{decision="approved"}': 1 },
  ],
  [
    'a protocol error',
    (r) => r.oauthError('/oauth/token', 'invalid_grant'),
    { 'authgate_oauth_errors_total{endpoint="/oauth/token",error="invalid_grant"}': 1 },
  ],
  [
    'a request over the limit',
    (r) => r.rateLimitChecked('/login', 'limited'),
    {
      'authgate_rate_limit_checks_total{endpoint="/login",result="limited"}': 1,
      'rate_limit_exceeded_total{endpoint="/login"}': 1,
    },
  ],
  [
    'a request over the limit of a nameless limiter',
    (r) => r.rateLimitChecked(undefined, 'limited'),
    {
      'authgate_rate_limit_checks_total{endpoint="unknown",result="limited"}': 1,
      'rate_limit_exceeded_total{endpoint="unknown"}': 1,
    },
  ],
  [
    'a limiter without its store',
    (r) => r.rateLimitChecked('/oauth/token', 'error'),
    { 'authgate_rate_limit_checks_total{endpoint="/oauth/token",result="error"}': 1 },
  ],
  [
    'a cache hit',
    (r) => r.cacheLookup('client', 'hit'),
    { 'cache_hits_total{cache_name="client"}': 1 },
  ],
  [
    'a cache miss',
    (r) => r.cacheLookup('population', 'miss'),
    { 'cache_misses_total{cache_name="population"}': 1 },
  ],
  [
    'a joined load',
    (r) => r.cacheLookup('signing_keys', 'coalesced'),
    { 'authgate_cache_coalesced_total{cache_name="signing_keys"}': 1 },
  ],
  [
    'a failed load',
    (r) => r.cacheLookup('client', 'error'),
    { 'cache_errors_total{cache_name="client"}': 1 },
  ],
  ['lost audit events', (r) => r.auditEventsDropped(2), { audit_events_dropped_total: 2 }],
  [
    'swept rows',
    (r) => r.sweeperSwept('tokens', 500),
    { 'authgate_sweeper_rows_total{task="tokens"}': 500 },
  ],
  [
    'a failed sweep',
    (r) => r.sweeperFailed('tokens'),
    { 'authgate_sweeper_errors_total{task="tokens"}': 1 },
  ],
  [
    'a DPoP proof',
    (r) => r.dpopProven('replayed'),
    { 'authgate_dpop_proofs_total{result="replayed"}': 1 },
  ],
  [
    'a token that was exchanged',
    (r) => r.tokenExchanged('success'),
    { 'authgate_token_exchanges_total{result="success"}': 1 },
  ],
  [
    'an introspection by somebody who has no part in the token',
    (r) => r.tokenIntrospected('not_entitled'),
    { 'authgate_token_introspections_total{result="not_entitled"}': 1 },
  ],
  [
    'a signing key that retired',
    (r) => r.signingKeys('retired', 1),
    { 'authgate_signing_keys_events_total{event="retired"}': 1 },
  ],
  [
    'a request to an address of a client',
    (r) => r.outboundRequested('jwks', 'refused', 0.2),
    {
      'authgate_outbound_requests_total{purpose="jwks",result="refused"}': 1,
      'authgate_outbound_request_duration_seconds_count{purpose="jwks"}': 1,
    },
  ],
  [
    'a turn of the sweeper',
    (r) => r.sweeperTurn(0.2),
    { authgate_sweeper_duration_seconds_count: 1 },
  ],
  [
    'a failed export',
    (r) => r.exportFailed('traces'),
    { 'authgate_telemetry_export_failures_total{signal="traces"}': 1 },
  ],
  [
    'a count behind the gauges',
    (r) => r.populationQueried('users', 0.01),
    { 'authgate_population_query_duration_seconds_count{group="users"}': 1 },
  ],
  [
    'a failed count behind the gauges',
    (r) => r.populationQueryFailed('sessions'),
    { 'database_query_errors_total{operation="count_sessions"}': 1 },
  ],
  [
    'a statement',
    (r) => r.databaseOperation('SELECT', 0.001),
    {
      'db_client_operation_duration_seconds_count{db_operation_name="SELECT",db_system_name="postgresql"}': 1,
    },
  ],
  [
    'a failed statement',
    (r) => r.databaseOperation('INSERT', 0.001, 'constraint'),
    {
      'db_client_operation_duration_seconds_count{db_operation_name="INSERT",db_system_name="postgresql",error_type="constraint"}': 1,
    },
  ],
  [
    'a request being answered',
    (r) => r.httpRequestStarted('GET', 'https'),
    { 'http_server_active_requests{http_request_method="GET",url_scheme="https"}': 1 },
  ],
]

describe('the recorder moves exactly the series of', () => {
  it.each(events)('%s', async (_, act, expected) => {
    expect(await moved(act)).toEqual(expected)
  })

  it('an answered request, which is no longer active', async () => {
    const found = await moved((r) => {
      r.httpRequestStarted('POST', 'http')
      r.httpRequestEnded({
        method: 'POST',
        route: '/login',
        status: 303,
        scheme: 'http',
        seconds: 0.02,
      })
    })
    expect(found).toEqual({
      'http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="303",http_route="/login",url_scheme="http"}': 1,
    })
  })

  it('an answered request that met no route, without a route label', async () => {
    const found = await moved((r) => {
      r.httpRequestStarted('GET', 'http')
      r.httpRequestEnded({
        method: 'GET',
        route: undefined,
        status: 404,
        scheme: 'http',
        seconds: 0.01,
      })
    })
    expect(Object.keys(found)).toEqual([
      'http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="404",url_scheme="http"}',
    ])
  })
})

it('every counter and histogram of the catalogue that the recorder owns is moved by one of the events above', async () => {
  const metrics = testMetrics()
  const recorder = createRecorder(metrics.meter)
  for (const [, act] of events) act(recorder)
  recorder.httpRequestEnded({ method: 'GET', route: '/', status: 200, scheme: 'http', seconds: 0 })
  const alive = [...(await metrics.scrape())].filter(([, value]) => value !== 0).map(([key]) => key)
  const unmoved = Object.values(catalogue)
    .filter(
      ({ kind, name }) =>
        (kind === 'counter' || kind === 'histogram') && name !== 'v8js.gc.duration',
    )
    .map(prometheusName)
    .filter((name) => !alive.some((key) => key.startsWith(name)))
  expect(unmoved).toEqual([])
})

/** What callers cannot do, since the compiler stops them; here nobody does. */
const careless = (recorder: Recorder) =>
  recorder as unknown as Record<string, (...values: unknown[]) => void>

function hostile(recorder: Recorder, value: string) {
  const call = careless(recorder)
  call['loginAttempted']?.({
    method: value,
    source: value,
    result: value,
    seconds: 1,
    reason: value,
  })
  call['loginAttempted']?.({
    method: 'local',
    source: value,
    result: 'failure',
    seconds: 1,
    reason: value,
  })
  call['loginRefused']?.(value)
  call['externalApiAsked']?.(value, 1)
  call['upstreamCallback']?.(value, value)
  call['upstreamRequested']?.(value, value, 1)
  call['sessionEnded']?.(value, 1)
  call['consentGranted']?.(value)
  call['consentRevoked']?.(value)
  call['consentDecided']?.(value)
  call['authorizationCode']?.(value)
  call['tokenIssued']?.(value, value)
  call['tokenIssued']?.('access', value)
  call['tokensRevoked']?.(value, value, 1)
  call['tokenRefreshed']?.(value)
  call['tokenValidated']?.(value, 1)
  call['deviceCodeRequested']?.(value)
  call['userCodeEntered']?.(value)
  call['deviceCodePolled']?.(value)
  call['deviceCodesEnded']?.(value, 1)
  call['clientAuthenticated']?.(value, value)
  call['dpopProven']?.(value)
  call['tokenIntrospected']?.(value)
  call['registration']?.(value)
  call['clientDecided']?.(value)
  call['oauthError']?.('/oauth/token', value)
  call['oauthError']?.(value, 'invalid_grant')
  call['rateLimitChecked']?.(value, 'limited')
  call['outboundRequested']?.(value, value, 1)
  call['sweeperSwept']?.(value, 1)
  call['populationQueried']?.(value, 1)
  call['populationQueryFailed']?.(value)
  call['databaseOperation']?.(value, 1, value)
  call['exportFailed']?.(value)
  call['httpRequestStarted']?.(value, value)
}

describe('hostile label values', () => {
  it('10 000 of them add no series to those that one of them made', async () => {
    const metrics = testMetrics()
    const recorder = createRecorder(metrics.meter)
    hostile(recorder, 'first')
    const before = (await metrics.scrape()).size
    for (let i = 0; i < 10_000; i += 1) hostile(recorder, `hostile-${i}\n"} ${'x'.repeat(i % 50)}`)
    const after = await metrics.scrape()
    expect(after.size).toBe(before)
    expect([...after.keys()].filter((key) => key.includes('hostile'))).toEqual([])
  })

  it('are counted as other, so that no event is lost', async () => {
    const metrics = testMetrics()
    const recorder = createRecorder(metrics.meter)
    for (let i = 0; i < 5; i += 1) careless(recorder)['loginRefused']?.(`reason-${i}`)
    expect((await metrics.scrape()).get('authgate_login_failures_total{reason="other"}')).toBe(5)
  })

  it('are logged once for each label, without the value', () => {
    const log = rememberingLog()
    const recorder = createRecorder(testMetrics().meter, log)
    for (let i = 0; i < 100; i += 1) careless(recorder)['consentGranted']?.(`flow-${i}`)
    expect(log.lines).toHaveLength(1)
    expect(log.lines[0]?.fields).toEqual({ series: 'oauth.consent.granted', label: 'flow' })
    expect(JSON.stringify(log.lines)).not.toContain('flow-')
  })

  it('of a method become _OTHER, as the semantic conventions say', async () => {
    const metrics = testMetrics()
    careless(createRecorder(metrics.meter))['httpRequestStarted']?.('BREW', 'http')
    const key = 'http_server_active_requests{http_request_method="_OTHER",url_scheme="http"}'
    expect((await metrics.scrape()).get(key)).toBe(1)
  })

  it('a combination that cannot happen becomes other in its last label', async () => {
    const metrics = testMetrics()
    createRecorder(metrics.meter).tokensRevoked('rotation', 'access', 1)
    const key = 'oauth_tokens_revoked_total{reason="rotation",token_type="other"}'
    expect((await metrics.scrape()).get(key)).toBe(1)
  })
})

it('on the no-op meter every method runs and nothing is kept', () => {
  const recorder = createRecorder(createNoopMeter())
  for (const [, act] of events) expect(() => act(recorder)).not.toThrow()
})
