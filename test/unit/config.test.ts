import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sessionSecrets } from '#/boot/session-secrets.ts'
import { ConfigError, parseConfig, settings } from '#/config/config.ts'

type Environment = Record<string, string | undefined>

/** What is wrong with an environment, a line each. */
function problemsOf(environment: Environment): readonly string[] {
  try {
    parseConfig(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

const secret = 'a secret of at least thirty-two characters'

describe('defaults', () => {
  it('make a server for this machine alone, with safe choices', () => {
    expect(parseConfig({})).toMatchObject({
      server: {
        host: '127.0.0.1',
        port: 8080,
        baseUrl: 'http://localhost:8080',
        secure: false,
      },
      sessions: {
        policy: {
          lifetimeMs: 12 * 3_600_000,
          idleMs: 30 * 60_000,
          rememberedMs: 30 * 86_400_000,
          fingerprint: true,
        },
      },
      authorization: { codeLifetimeMs: 60_000 },
      tokens: {
        lifetimes: {
          profiles: { standard: { accessMs: 3_600_000, refreshMs: 30 * 86_400_000 } },
        },
        rotation: true,
      },
      limits: { enabled: true, login: 5, authorize: 60, token: 120, client: 6000 },
      telemetry: {
        metrics: {
          enabled: true,
          populationTtlMs: 15_000,
          exporter: { host: '127.0.0.1' },
          otlp: undefined,
        },
        traces: { url: undefined },
        resource: { resourceAttributes: {} },
      },
      audit: { enabled: true },
    })
  })

  it('leave what is optional unset', () => {
    const config = parseConfig({})
    const { database, limits, sessions } = config
    expect([database.url, limits.redisUrl, sessions.secrets]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('are themselves valid: each parses by its own schema', () => {
    for (const [name, { schema, default: text }] of Object.entries(settings))
      if (text !== undefined) expect(schema.safeParse(text).success, name).toBe(true)
  })

  it('stand in for empty and blank values, as in a file whose lines were left open', () => {
    const blank = Object.fromEntries(Object.keys(settings).map((name) => [name, '  ']))
    expect(parseConfig(blank)).toEqual(parseConfig({}))
  })

  it('cannot be changed afterwards', () => {
    const config = parseConfig({})
    for (const part of [config, ...Object.values(config), config.tokens.lifetimes.profiles])
      expect(Object.isFrozen(part)).toBe(true)
  })

  it('follow the port in BASE_URL, and take slashes off its end', () => {
    expect(parseConfig({ PORT: '3000' }).server.baseUrl).toBe('http://localhost:3000')
    const { baseUrl, secure } = parseConfig({ BASE_URL: 'https://id.example.test/auth//' }).server
    expect([baseUrl, secure]).toEqual(['https://id.example.test/auth', true])
  })

  it.each(['/a;b', '/a b', '/a"b', '/%61', '/a//b', '/a/../b', '/./a', '/é'])(
    'refuse a path that links and cookies cannot carry: %s',
    (path) => {
      expect(problemsOf({ BASE_URL: `https://id.example.test${path}` })).toEqual([
        expect.stringMatching(/^BASE_URL: write a path of letters, digits/),
      ])
    },
  )

  it('refuse a user and a password in BASE_URL', () => {
    for (const who of ['ada', 'ada:secret', ':secret'])
      expect(problemsOf({ BASE_URL: `https://${who}@id.example.test` })).toEqual([
        expect.stringMatching(/^BASE_URL: write it without a user and a password/),
      ])
  })

  it.each(['security@example.test', 'http://example.test/', 'mailto:a b@c', 'tel:abc', ','])(
    'refuse %j as a contact of security.txt',
    (contact) => {
      expect(problemsOf({ SECURITY_CONTACT: contact })).toEqual([
        expect.stringMatching(/^SECURITY_CONTACT: write mailto:, https:\/\/ or tel: addresses/),
      ])
    },
  )

  it('refuse a policy of security.txt without a contact', () => {
    const SECURITY_POLICY = 'https://example.test/policy'
    expect(problemsOf({ SECURITY_POLICY })).toEqual([
      'SECURITY_POLICY: needs SECURITY_CONTACT beside it.',
    ])
    expect(problemsOf({ SECURITY_POLICY, SECURITY_CONTACT: 'mailto:a@example.test' })).toEqual([])
  })

  it('refuse to expect a stripped path where BASE_URL has none', () => {
    const settings = { BASE_URL: 'https://id.example.test/auth/v1.0', PROXY_STRIPS_PATH: 'true' }
    expect(problemsOf(settings)).toEqual([])
    expect(problemsOf({ ...settings, BASE_URL: 'https://id.example.test' })).toEqual([
      expect.stringMatching(/^PROXY_STRIPS_PATH: /),
    ])
    expect(problemsOf({ PROXY_STRIPS_PATH: 'true' })).toHaveLength(1)
  })
})

describe('problems', () => {
  it('are listed all at once, each with the name of its setting', () => {
    const problems = problemsOf({
      PORT: 'eighty',
      BASE_URL: 'ftp://x',
      SESSION_SECRET: 'short',
      JWT_EXPIRATION: '1 hour',
      ENABLE_RATE_LIMIT: 'yes',
      SERVER_ADDR: ':8080',
      LOG_LEVEL: 'loud',
    })
    expect(problems.map((text) => text.split(':')[0]).sort()).toEqual([
      'BASE_URL',
      'ENABLE_RATE_LIMIT',
      'JWT_EXPIRATION',
      'LOG_LEVEL',
      'PORT',
      'SERVER_ADDR',
      'SESSION_SECRET',
    ])
    const error = new ConfigError(problems)
    for (const problem of problems) expect(error.message).toContain(problem)
  })

  it('say what to write, and show what was written', () => {
    expect(problemsOf({ PORT: '70000' })).toEqual([
      'PORT: write a whole number from 1 to 65535 (it is "70000").',
    ])
  })

  it('say why HS256 is none of the signing algorithms', () => {
    expect(problemsOf({ JWT_SIGNING_ALGORITHM: 'HS256' })).toEqual([
      'JWT_SIGNING_ALGORITHM: write ES256, RS256 or EdDSA; HS256 is not offered, since whoever can check its signatures can also make them (it is "HS256").',
    ])
    expect(problemsOf({ JWT_SIGNING_ALGORITHM: 'none' })).toEqual([
      'JWT_SIGNING_ALGORITHM: write ES256, RS256 or EdDSA (it is "none").',
    ])
  })

  it('keep lifetimes and the rotation of keys in an order that can work', () => {
    expect(problemsOf({ JWT_EXPIRATION: '25h' })).toEqual([
      'JWT_EXPIRATION: must not be longer than JWT_EXPIRATION_MAX.',
    ])
    expect(problemsOf({ JWT_EXPIRATION: '10m', JWT_EXPIRATION_JITTER: '10m' })).toEqual([
      'JWT_EXPIRATION_JITTER: must be shorter than JWT_EXPIRATION.',
    ])
    expect(problemsOf({ TOKEN_PROFILE_LONG_REFRESH_TTL: '2161h' })).toEqual([
      'TOKEN_PROFILE_LONG_REFRESH_TTL: must not be longer than REFRESH_TOKEN_EXPIRATION_MAX.',
    ])
    expect(problemsOf({ JWT_PRIVATE_CLAIM_PREFIX: 'cnf' })).toHaveLength(1)
    expect(problemsOf({ JWT_KEY_ROTATION_INTERVAL: '24h' })).toEqual([
      'JWT_KEY_PUBLISH_AHEAD: must be shorter than JWT_KEY_ROTATION_INTERVAL.',
    ])
    expect(problemsOf({ JWT_KEY_PUBLISH_AHEAD: '9m' })).toHaveLength(1)
  })

  it('tell what a provider still lacks', () => {
    const oidc = { OIDC_CLIENT_ID: 'x', OIDC_CLIENT_SECRET: 'y' }
    expect(problemsOf({ GITHUB_CLIENT_ID: 'x' })).toEqual([
      'GITHUB_CLIENT_ID: needs GITHUB_CLIENT_SECRET beside it.',
    ])
    expect(problemsOf(oidc)).toEqual(['OIDC_ISSUER: is required with OIDC_CLIENT_ID.'])
    expect(problemsOf({ ...oidc, OIDC_OAUTH_ENABLED: 'false' })).toEqual([])
    expect(problemsOf({ GITEA_CLIENT_ID: 'x', GITEA_CLIENT_SECRET: 'y' })).toEqual([
      'GITEA_URL: is required with GITEA_CLIENT_ID.',
    ])
    expect(problemsOf({ OIDC_SCOPES: 'profile' })).toEqual(['OIDC_SCOPES: must hold openid.'])
  })

  it('refuse to be told who somebody is by a provider that anybody can speak for', () => {
    for (const url of ['http://id.example.test', 'http://127.0.0.1.example.test', 'ftp://a.test'])
      expect(problemsOf({ OIDC_ISSUER: url, GITHUB_URL: url })).toHaveLength(2)
    expect(problemsOf({ OIDC_ISSUER: 'http://[::1]:9/', GITHUB_URL: 'http://localhost' })).toEqual(
      [],
    )
    for (const tenant of ['common', 'Common', 'organizations', 'consumers'])
      expect(problemsOf({ MICROSOFT_TRUST_EMAIL: 'true', MICROSOFT_TENANT_ID: tenant })).toEqual([
        expect.stringMatching(/^MICROSOFT_TRUST_EMAIL: needs a MICROSOFT_TENANT_ID of your own/),
      ])
  })

  const secrets: [string, string][] = [
    ['SESSION_SECRET', 'hunter2-short-secret'],
    ['DATABASE_URL', 'mysql://root:hunter2@db/x'],
    ['DATABASE_DIRECT_URL', 'mysql://root:hunter2@db/x'],
    ['REDIS_URL', 'http://:hunter2@redis'],
    ['METRICS_TOKEN', 'hunter2'],
    ['HTTP_API_AUTH_SECRET', 'hunter2'],
    ['DYNAMIC_CLIENT_REGISTRATION_TOKEN', 'hunter2 is not a bearer token'],
    ['DEFAULT_ADMIN_PASSWORD', 'hunter2'],
    ['GITHUB_CLIENT_SECRET', 'hunter2'],
    ['GITEA_CLIENT_SECRET', 'hunter2'],
    ['GITLAB_CLIENT_SECRET', 'hunter2'],
    ['MICROSOFT_CLIENT_SECRET', 'hunter2'],
    ['OIDC_CLIENT_SECRET', 'hunter2'],
  ]
  it.each(secrets)('never repeat a secret: %s', (name, value) => {
    const problems = problemsOf({ [name]: value })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(new RegExp(`^${name}: `))
    expect(problems[0]).not.toContain('hunter2')
  })

  it('are found in every setting that is called a secret, so the table above is whole', () => {
    const named = Object.entries(settings).filter(([, setting]) => 'secret' in setting)
    expect(named.map(([name]) => name).sort()).toEqual(secrets.map(([name]) => name).sort())
  })

  const renamed: [string, string][] = [
    ['SERVER_ADDR', 'HOST and PORT'],
    ['DATABASE_DSN', 'DATABASE_URL'],
    ['DATABASE_DRIVER', 'DATABASE_URL'],
    ['DATABASE_PATH', 'DATA_DIR'],
    ['REDIS_ADDR', 'REDIS_URL'],
    ['LOGIN_SESSION_TRACKING_ENABLED', 'always tracked'],
    ['METRICS_GAUGE_UPDATE_ENABLED', 'counted when they are scraped'],
    ['METRICS_GAUGE_UPDATE_INTERVAL', 'METRICS_POPULATION_TTL'],
  ]
  it.each(renamed)('name %s and where its meaning went', (name, advice) => {
    const [problem = '', ...more] = problemsOf({ [name]: 'postgres://user:hunter2@db/x' })
    expect(more).toEqual([])
    expect(problem).toMatch(new RegExp(`^${name}: is no longer known; .*${advice}`))
    expect(problem).not.toContain('hunter2')
    expect(problemsOf({ [name]: '' })).toEqual([])
  })

  it('leave the rest of the environment alone', () => {
    expect(problemsOf({ PATH: '/bin', HOME: '/root', LANG: 'C', OTEL_UNKNOWN: 'x' })).toEqual([])
  })
})

describe('durations', () => {
  const good: [string, number][] = [
    ['15s', 15_000],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1h2m3s4ms', 3_723_004],
    ['250ms', 250],
    ['0s', 0],
    ['720h', 2_592_000_000],
  ]
  it.each(good)('take %s', (text, ms) => {
    const { metrics } = parseConfig({ METRICS_POPULATION_TTL: text }).telemetry
    expect(metrics.populationTtlMs).toBe(ms)
  })

  it.each(['15', '15 s', '-1s', '1.5h', '1d', '10s5m', 's', '1e3s', 'forever', '1H'])(
    'refuse %j',
    (text) => {
      expect(problemsOf({ METRICS_POPULATION_TTL: text })).toEqual([
        `METRICS_POPULATION_TTL: write a duration such as 15s, 10m or 1h30m (it is "${text}").`,
      ])
    },
  )

  it.each([
    'SERVER_SHUTDOWN_TIMEOUT',
    'SESSION_RETENTION',
    'SESSION_SWEEP_INTERVAL',
    'AUTH_CODE_EXPIRATION',
    'JWT_EXPIRATION',
    'REFRESH_TOKEN_EXPIRATION',
    'AUDIT_LOG_RETENTION',
  ])('are longer than zero in %s', (name) => {
    expect(problemsOf({ [name]: '0s' })).toEqual([
      `${name}: write a duration longer than zero (it is "0s").`,
    ])
  })
})

describe('flags and numbers', () => {
  it.each([
    ['true', true],
    ['TRUE', true],
    ['1', true],
    ['false', false],
    ['False', false],
    ['0', false],
  ])('take the flag %s', (text, value) => {
    expect(parseConfig({ CONSENT_REMEMBER: text }).authorization.rememberConsent).toBe(value)
  })

  it.each(['yes', 'no', 'on', 'off', '2', 'truee', 't'])('refuse the flag %s', (text) => {
    expect(problemsOf({ CONSENT_REMEMBER: text })).toHaveLength(1)
  })

  const numbers: [string, string][] = [
    ['PORT', '0'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '0x50'],
    ['PORT', '8080.5'],
    ['PORT', '1e3'],
    ['PORT', ' 80 80'],
    ['LOGIN_RATE_LIMIT', '0'],
    ['LOGIN_RATE_LIMIT', '1000001'],
    ['DB_MAX_OPEN_CONNS', '0'],
    ['SESSION_MAX_AGE', '59'],
    ['SESSION_MAX_AGE', '12h'],
    ['OTEL_METRIC_EXPORT_INTERVAL', '99'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.1'],
    ['OTEL_TRACES_SAMPLER_ARG', '-0.1'],
    ['OTEL_TRACES_SAMPLER_ARG', 'half'],
  ]
  it.each(numbers)('refuse %s=%s', (name, text) => {
    const problems = problemsOf({ [name]: text })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(new RegExp(`^${name}: write a`))
  })

  it('read seconds as milliseconds, and 0 as no idle limit', () => {
    const { sessions } = parseConfig({ SESSION_MAX_AGE: '60', SESSION_IDLE_TIMEOUT: '0' })
    expect([sessions.policy.lifetimeMs, sessions.policy.idleMs]).toEqual([60_000, 0])
  })
})

describe('addresses', () => {
  it.each(['id.example.test', 'ftp://x', 'https://x/?a=1', 'https://x/#a', '//x', 'https://'])(
    'refuse the BASE_URL %s',
    (text) => expect(problemsOf({ BASE_URL: text })).toHaveLength(1),
  )

  it.each(['10.0.0.0/33', '10.0.0', 'proxy', '::1/129', '10.0.0.0/x', '10.0.0.0/1.5'])(
    'refuse the proxy %s',
    (text) => expect(problemsOf({ TRUSTED_PROXIES: `127.0.0.1, ${text}` })).toHaveLength(1),
  )

  it('take single proxies and networks of both families', () => {
    const trusted = parseConfig({
      TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.1 ,fd00::/8',
    }).server.trustedProxies
    expect(trusted.check('10.255.0.1')).toBe(true)
    expect(trusted.check('192.0.2.1')).toBe(true)
    expect(trusted.check('192.0.2.2')).toBe(false)
    expect(trusted.check('fd00::1', 'ipv6')).toBe(true)
    expect(trusted.check('fe80::1', 'ipv6')).toBe(false)
  })
})

describe('what belongs together', () => {
  it('asks for SESSION_SECRET with DATABASE_URL, so that all replicas agree', () => {
    const DATABASE_URL = 'postgres://authgate@db:5432/authgate'
    expect(problemsOf({ DATABASE_URL })).toEqual([
      expect.stringMatching(/^SESSION_SECRET: is required with DATABASE_URL/),
    ])
    expect(problemsOf({ DATABASE_URL, SESSION_SECRET: secret })).toEqual([])
    expect(problemsOf({ DATABASE_URL, SESSION_SECRET: '  ' })).toHaveLength(1)
    // A wrong one is one problem, not two.
    expect(problemsOf({ DATABASE_URL, SESSION_SECRET: 'short' })).toHaveLength(1)
  })

  it('takes several secrets, newest first, each long enough', () => {
    const SESSION_SECRET = `${secret} new, ${secret} old`
    expect(parseConfig({ SESSION_SECRET }).sessions.secrets).toEqual([
      `${secret} new`,
      `${secret} old`,
    ])
    expect(problemsOf({ SESSION_SECRET: `${secret},short` })).toHaveLength(1)
    expect(problemsOf({ SESSION_SECRET: ',,' })).toHaveLength(1)
  })

  const exporters: [Environment, boolean][] = [
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: '0.0.0.0' }, true],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: '::' }, true],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: '10.0.0.1' }, true],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: 'metrics.internal' }, true],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: '127.evil.test' }, true],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: '127.0.0.2' }, false],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: '::1' }, false],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: 'localhost' }, false],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: '0.0.0.0', METRICS_ENABLED: 'false' }, false],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: '0.0.0.0', OTEL_SDK_DISABLED: 'true' }, false],
    [{ OTEL_EXPORTER_PROMETHEUS_HOST: '0.0.0.0', OTEL_METRICS_EXPORTER: 'otlp' }, false],
  ]
  it.each(exporters)('with %j, needs a METRICS_TOKEN: %s', (environment, needed) => {
    const found = problemsOf(environment)
    expect(found.map((text) => text.split(':')[0])).toEqual(needed ? ['METRICS_TOKEN'] : [])
    expect(problemsOf({ ...environment, METRICS_TOKEN: 'x'.repeat(16) })).toEqual([])
    // A line that was left open opens nothing.
    expect(problemsOf({ ...environment, METRICS_TOKEN: '  ' })).toEqual(found)
  })

  it('keeps metrics off the public port', () => {
    expect(problemsOf({ PORT: '9464' })).toEqual([
      expect.stringMatching(/^OTEL_EXPORTER_PROMETHEUS_PORT: must differ from PORT/),
    ])
    expect(problemsOf({ PORT: '9464', METRICS_ENABLED: 'false' })).toEqual([])
  })

  it('derives the addresses of the push, and none when a way out is closed', () => {
    const base = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' }
    const urls = (environment: Environment) => {
      const { metrics, traces } = parseConfig(environment).telemetry
      return [metrics.otlp?.url, traces.url]
    }
    expect(urls(base)).toEqual([
      'http://collector:4318/v1/metrics',
      'http://collector:4318/v1/traces',
    ])
    expect(urls({ ...base, OTEL_METRICS_EXPORTER: 'prometheus' })[0]).toBeUndefined()
    expect(urls({ ...base, OTEL_TRACES_EXPORTER: 'none' })[1]).toBeUndefined()
    expect(urls({ ...base, OTEL_SDK_DISABLED: 'true' })[1]).toBeUndefined()
    expect(urls({ ...base, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://tempo/t' })).toEqual([
      'http://collector:4318/v1/metrics',
      'http://tempo/t',
    ])
  })

  it('reads resource attributes, and refuses those that are none', () => {
    const attributes = 'deployment.environment=prod,note=a%20b=c'
    const { resource } = parseConfig({ OTEL_RESOURCE_ATTRIBUTES: attributes }).telemetry
    expect(resource.resourceAttributes).toEqual({
      'deployment.environment': 'prod',
      note: 'a b=c',
    })
    for (const wrong of ['novalue', '=x', 'a=%zz', 'a=', 'a=%ff'])
      expect(problemsOf({ OTEL_RESOURCE_ATTRIBUTES: wrong }), wrong).toHaveLength(1)
  })
})

describe('the generated session secret', () => {
  it('is made once beside the embedded database, readable by its owner alone', () => {
    const directory = mkdtempSync(join(tmpdir(), 'authgate-config-'))
    try {
      const DATA_DIR = join(directory, 'data')
      const [first = ''] = sessionSecrets(parseConfig({ DATA_DIR }))
      expect(first.length).toBeGreaterThanOrEqual(43)
      expect(sessionSecrets(parseConfig({ DATA_DIR }))).toEqual([first])
      const file = join(DATA_DIR, 'session-secret')
      expect(readFileSync(file, 'utf8').trim()).toBe(first)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      expect(statSync(DATA_DIR).mode & 0o777).toBe(0o700)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it('is not made where one was given', () => {
    const config = parseConfig({ SESSION_SECRET: secret, DATA_DIR: '/nonexistent/data' })
    expect(sessionSecrets(config)).toEqual([secret])
  })
})

describe('AUTH_MODE=http_api', () => {
  const complete = { AUTH_MODE: 'http_api', HTTP_API_URL: 'https://people.example.com/check' }

  it.each(['https://people.example.com/check', 'http://127.0.0.1:9000/', 'http://[::1]:9000/a'])(
    'asks %s',
    (url) => {
      const { externalApi } = parseConfig({ ...complete, HTTP_API_URL: url }).signIn
      expect(externalApi?.url).toBe(url)
    },
  )

  it.each<[string, Environment, string]>([
    ['no URL', { HTTP_API_URL: '' }, 'HTTP_API_URL'],
    ['plain http over the network', { HTTP_API_URL: 'http://people.example.com/' }, 'HTTP_API_URL'],
    ['a user in the URL', { HTTP_API_URL: 'https://a:b@people.example.com/' }, 'HTTP_API_URL'],
    ['simple without a secret', { HTTP_API_AUTH_MODE: 'simple' }, 'HTTP_API_AUTH_SECRET'],
    ['hmac without a secret', { HTTP_API_AUTH_MODE: 'hmac' }, 'HTTP_API_AUTH_SECRET'],
    ['a header of HTTP itself', { HTTP_API_AUTH_HEADER: 'Content-Length' }, 'HTTP_API_AUTH_HEADER'],
    ['another mode', { HTTP_API_AUTH_MODE: 'basic' }, 'HTTP_API_AUTH_MODE'],
  ])('refuses %s in words', (_, environment, name) => {
    const problems = problemsOf({ ...complete, ...environment })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(new RegExp(`^${name}: .+\\.$`))
  })

  it('never prints a secret that is too short', () => {
    const [text = ''] = problemsOf({ ...complete, HTTP_API_AUTH_SECRET: 'short one' })
    expect(text).toContain('HTTP_API_AUTH_SECRET')
    expect(text).not.toContain('short one')
  })

  it('keeps certificate checks, and says how to trust an authority of your own', () => {
    expect(problemsOf({ HTTP_API_INSECURE_SKIP_VERIFY: 'true' })[0]).toContain(
      'NODE_EXTRA_CA_CERTS',
    )
  })
})
