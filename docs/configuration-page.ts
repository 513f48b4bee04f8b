/** Renders docs/CONFIGURATION.md and .env.example from the settings themselves. */
import { areas } from '#/config/config.ts'
import type { Settings } from '#/config/setting.ts'

const sectionsOf = (render: (title: string, settings: Settings) => string[]) =>
  Object.values(areas).map(({ title, settings }) => render(title, settings).join('\n'))

export function renderConfigurationPage(): string {
  const sections = sectionsOf((title, settings) => {
    const rows = Object.entries(settings).map(
      ([name, { default: fallback, about }]) =>
        `| \`${name}\` | ${fallback ? `\`${fallback}\`` : ''} | ${about.replaceAll('|', '\\|')} |`,
    )
    return [
      `## ${title}`,
      '',
      '| setting | default | meaning |',
      '| --- | --- | --- |',
      ...rows,
      '',
    ]
  })
  return [
    '# Configuration',
    '',
    'Generated from `src/config/` by `npm run docs`; do not edit.',
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
  const sections = sectionsOf((title, settings) => [
    `# --- ${title} ---`,
    ...Object.entries(settings).flatMap(([name, { default: fallback, about }]) => [
      `# ${about}`,
      `#${name}=${fallback ?? ''}`,
    ]),
    '',
  ])
  return [
    '# Copy to .env and change what you need. Generated from src/config/ by `npm run docs`.',
    '',
    ...sections,
  ].join('\n')
}
