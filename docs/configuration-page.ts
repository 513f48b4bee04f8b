/** Renders docs/CONFIGURATION.md and .env.example from the settings themselves. */
import { settings } from '#/config.ts'

const entries = Object.entries(settings)
const groups = [...new Set(entries.map(([, { group }]) => group))]

const ofGroup = (group: string) => entries.filter(([, setting]) => setting.group === group)

export function renderConfigurationPage(): string {
  const sections = groups.map((group) => {
    const rows = ofGroup(group).map(
      ([name, { default: fallback, about }]) =>
        `| \`${name}\` | ${fallback ? `\`${fallback}\`` : ''} | ${about.replaceAll('|', '\\|')} |`,
    )
    return [
      `## ${group}`,
      '',
      '| setting | default | meaning |',
      '| --- | --- | --- |',
      ...rows,
      '',
    ].join('\n')
  })
  return [
    '# Configuration',
    '',
    'Generated from `src/config.ts` by `npm run docs`; do not edit.',
    '',
    'Settings come from the environment; a `.env` file in the working directory fills in what the environment leaves out.',
    'An empty value counts as not set. Durations are written like `15s`, `10m` or `1h30m`, switches as `true` or `false`.',
    'Everything is checked before anything starts: every problem is listed at once, with the name of the setting and what to write.',
    '',
    'The exporters themselves also read `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_COMPRESSION`, `OTEL_EXPORTER_OTLP_TIMEOUT` and',
    '`OTEL_EXPORTER_OTLP_CERTIFICATE`, as the OpenTelemetry specification describes them.',
    '',
    ...sections,
  ].join('\n')
}

export function renderEnvironmentSample(): string {
  const sections = groups.map((group) =>
    [
      `# --- ${group} ---`,
      ...ofGroup(group).flatMap(([name, { default: fallback, about }]) => [
        `# ${about}`,
        `#${name}=${fallback ?? ''}`,
      ]),
      '',
    ].join('\n'),
  )
  return [
    '# Copy to .env and change what you need. Generated from src/config.ts by `npm run docs`.',
    '',
    ...sections,
  ].join('\n')
}
