/** `npm run admin`: the operator's way in without a password, for whoever has the shell and the configuration. */

import { AdminCommandError, adminHelp, runAdminCommand } from '#/boot/admin-cli.ts'
import { endWithNpm } from '#/boot/end-with-npm.ts'
import { readConfig } from '#/boot/read-config.ts'

// No file that is made here is for others, whoever makes it.
process.umask(0o077)

const [command, name, ...more] = process.argv.slice(2)

if (command === '--help' || command === '-h') {
  process.stdout.write(adminHelp)
} else if (command === undefined || name === undefined || more.length > 0) {
  process.stderr.write(adminHelp)
  process.exitCode = 1
} else {
  await run(command, name)
}

async function run(verb: string, username: string) {
  const config = readConfig(process.env)
  if (!config) return
  endWithNpm(process.env)
  try {
    process.stdout.write(await runAdminCommand(config, verb, username))
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    const said = error instanceof AdminCommandError ? text : `Nothing was changed: ${text}`
    process.stderr.write(`${said.trimEnd()}\n`)
    process.exitCode = 1
  }
}
