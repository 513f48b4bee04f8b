/** A Postgres of Debian for this run alone: a directory and a port of its own, gone afterwards. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { freePort } from '../server-process.ts'

const versions = '/usr/lib/postgresql'

/** Starts it, hands its URL on, and stops it whatever happens. */
export async function withPostgres(use: (url: string) => Promise<void>): Promise<void> {
  const bin = installed()
  const owner = postgresUser()
  const directory = mkdtempSync(join(tmpdir(), 'authgate-postgres-'))
  if (owner.uid !== undefined) chownSync(directory, owner.uid, owner.gid ?? owner.uid)
  chmodSync(directory, 0o700)
  const discard = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  try {
    const data = join(directory, 'data')
    const port = String(await freePort())
    execFileSync(join(bin, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres'], {
      ...owner,
      cwd: directory,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const server = spawn(
      join(bin, 'postgres'),
      ['-D', data, '-p', port, '-k', directory, '-c', 'listen_addresses=127.0.0.1'],
      { ...owner, cwd: directory, detached: true, stdio: 'ignore' },
    )
    const endWithUs = () => {
      server.kill('SIGQUIT')
      discard()
    }
    process.once('exit', endWithUs)
    try {
      const url = `postgres://postgres@127.0.0.1:${port}/postgres`
      await untilReady(url)
      await use(url)
    } finally {
      process.off('exit', endWithUs)
      await stop(server)
    }
  } finally {
    discard()
  }
}

function installed(): string {
  const [newest] = existsSync(versions)
    ? readdirSync(versions).sort((a, b) => Number(b) - Number(a))
    : []
  if (newest === undefined)
    throw new Error(
      'there is no Postgres here: apt-get install postgresql, or set BENCH_DATABASE_URL',
    )
  return join(versions, newest, 'bin')
}

/** It refuses to run as root, so root lends it the user of the package. */
function postgresUser(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function untilReady(url: string) {
  for (const deadline = performance.now() + 30_000; ; ) {
    const client = postgres(url, { max: 1, onnotice: () => {} })
    try {
      await client`select 1`
      return
    } catch (error) {
      if (performance.now() >= deadline) throw error
      await sleep(100)
    } finally {
      await client.end({ timeout: 1 })
    }
  }
}

/** SIGINT ends its sessions; at SIGTERM it would wait for them. */
async function stop(server: ChildProcess) {
  if (server.exitCode !== null || server.signalCode !== null) return
  server.kill('SIGINT')
  await once(server, 'exit')
}
