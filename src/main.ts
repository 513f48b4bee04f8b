/** The process: configuration, database, app, listeners; and a way out that loses nothing. */
import { readBuildInfo } from '#/boot/build-info.ts'
import { helpText } from '#/boot/help.ts'
import { failToStart, watchProcess } from '#/boot/process.ts'
import { readConfig } from '#/boot/read-config.ts'
import { sessionSecrets } from '#/boot/session-secrets.ts'

// No file that is made here is for others, whoever makes it.
process.umask(0o077)

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
  const config = readConfig(process.env)
  if (!config) return
  const watched = watchProcess(process.env)
  try {
    // The server is most of what there is to load: who asks for help does not wait for it.
    const { startServer } = await import('#/boot/server.ts')
    watched.serve(await startServer(config, sessionSecrets(config)))
  } catch (error) {
    failToStart(error)
  }
}
