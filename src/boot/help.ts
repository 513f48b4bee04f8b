import { settings } from '#/config/config.ts'

/** `npm start -- --help`: how to run it, and every setting. */
export function helpText(): string {
  const lines = Object.entries(settings).map(([name, { default: fallback }]) =>
    `  ${name.padEnd(36)} ${fallback ?? ''}`.trimEnd(),
  )
  return `AuthGate, an OAuth 2.0 and OpenID Connect server whose telemetry can be trusted.

Usage: npm start [-- --help | --version]

Without settings it serves http://localhost:8080 on an embedded database in ./data.
Settings come from the environment or a .env file (docs/CONFIGURATION.md explains each):

${lines.join('\n')}
`
}
