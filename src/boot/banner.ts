/** The start-up banner: where to sign in, where the metrics are, what is missing for production. */

import type { Config } from '#/config/config.ts'
import type { FirstCredentials } from './bootstrap.ts'
import type { BuildInfo } from './build-info.ts'

interface Banner {
  readonly config: Config
  readonly build: BuildInfo
  readonly first: FirstCredentials | undefined
  readonly embedded: boolean
}

export function printBanner({ config, build, first, embedded }: Banner): void {
  const lines = [
    '',
    `  AuthGate ${build.version}`,
    '',
    `  Sign in    ${config.server.baseUrl}/login`,
    `  Discovery  ${config.server.baseUrl}/.well-known/openid-configuration`,
    `  Metrics    ${metricsPlace(config)}`,
    ...(first ? firstStart(first) : []),
    ...productionGaps(config, embedded),
    '',
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

function metricsPlace(config: Config): string {
  const { enabled, exporter, otlp } = config.telemetry.metrics
  if (!enabled) return 'off (METRICS_ENABLED=false)'
  const places = [
    ...(exporter ? [`http://${exporter.host}:${exporter.port}/metrics`] : []),
    ...(otlp ? [`pushed to ${otlp.url}`] : []),
  ]
  return places.join(', ') || 'recorded, but not exported (OTEL_METRICS_EXPORTER)'
}

const firstStart = ({ username, password, clientId, file }: FirstCredentials) => [
  '',
  '  First start. This is shown once:',
  `    username   ${username}`,
  `    password   ${password ?? 'the one in DEFAULT_ADMIN_PASSWORD'}`,
  `    client_id  ${clientId}  (public; http://127.0.0.1/callback on any port)`,
  `  Kept in ${file}; delete it once you have signed in.`,
]

function productionGaps(
  { server, sessions, telemetry: { metrics } }: Config,
  embedded: boolean,
): string[] {
  const gaps = [
    ...(embedded
      ? [
          'DATABASE_URL      a Postgres; the embedded database serves one process and is not fsynced',
        ]
      : []),
    ...(server.secure
      ? []
      : ['BASE_URL          an https:// address; without it, cookies are not Secure']),
    ...(sessions.secrets ? [] : ['SESSION_SECRET    your own secret, the same for all replicas']),
    ...(metrics.enabled && !metrics.token
      ? ['METRICS_TOKEN     a token that scrapers must send']
      : []),
  ]
  return gaps.length === 0
    ? []
    : ['', '  Before production, set:', ...gaps.map((gap) => `    ${gap}`)]
}
