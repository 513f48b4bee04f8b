/** Debian's oidc-agent: keeps tokens for the commands of a terminal, as ssh-agent keeps keys. Written in C. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

interface Command {
  readonly child: ChildProcess
  /** What it printed, once it has ended. */
  readonly ended: Promise<{ code: number | null; output: string }>
  /** The first match in what it prints. */
  printed(pattern: RegExp): Promise<string>
}

export interface OidcAgent {
  /** `oidc-gen`: sets an account up, asking nothing. */
  generate(account: string, ...options: string[]): Command
  /** `oidc-token`: an access token of the account. */
  token(account: string, ...options: string[]): Promise<string>
  stop(): Promise<void>
}

export async function startOidcAgent(): Promise<OidcAgent> {
  const directory = mkdtempSync(join(tmpdir(), 'authgate-oidc-agent-'))
  const socket = join(directory, 'agent.sock')
  const { PATH = '' } = process.env
  const environment = { PATH, HOME: directory, OIDC_SOCK: socket, OIDC_ENCRYPTION_PW: 'not secret' }
  const run = (name: string, ...args: string[]) => runCommand(name, args, environment)
  const agent = run('oidc-agent', '-d', '-a', socket, '--no-scheme')
  while (!existsSync(socket) && agent.child.exitCode === null) await wait(50)
  const quiet = ['--no-url-call', '--confirm-yes', '--prompt=none', '--pw-env']
  return {
    generate: (account, ...options) => run('oidc-gen', account, ...options, ...quiet),
    async token(account, ...options) {
      const { code, output } = await run('oidc-token', account, ...options).ended
      if (code !== 0) throw new Error(output)
      return output.trim()
    },
    async stop() {
      agent.child.kill('SIGTERM')
      await agent.ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function runCommand(name: string, args: string[], env: Record<string, string>): Command {
  const child = spawn(name, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  return {
    child,
    ended: new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, output }))
    }),
    async printed(pattern) {
      for (const deadline = Date.now() + 30_000; Date.now() < deadline; await wait(50)) {
        const [found] = pattern.exec(output) ?? []
        if (found !== undefined) return found
      }
      throw new Error(`${name} did not print ${pattern}: ${output}`)
    },
  }
}
