/** The process: configuration, database, app, listeners; and a way out that loses nothing. */
import { type Config, ConfigError, parseConfig, sessionSecrets } from './config.ts'
import { helpText } from './help.ts'
import { readBuildInfo } from './build-info.ts'
import { startServer } from './server.ts'

const [argument] = process.argv.slice(2)

if (argument === '--help' || argument === '-h') {
  process.stdout.write(helpText())
} else if (argument === '--version' || argument === '-v') {
  const { version, commit } = readBuildInfo(process.env['AUTHGATE_COMMIT'])
  process.stdout.write(`authgate ${version} (${commit})\n`)
} else if (argument !== undefined) {
  process.stderr.write(`Unknown argument ${argument}.\n\n${helpText()}`)
  process.exitCode = 1
} else {
  await run()
}

async function run() {
  const config = readConfig()
  if (!config) return
  try {
    const server = await startServer(config, sessionSecrets(config))
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        // A second signal finds no handler and ends the process at once.
        void server.stop().then(() => process.exit(0))
      })
    }
  } catch (error) {
    process.stderr.write(`AuthGate could not start: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  }
}

function readConfig(): Config | undefined {
  try {
    return parseConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
    return undefined
  }
}
