/** Sockets, TLS, several hosts and databases that are not there yet, with real servers. */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, globSync, mkdtempSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConnectionString } from '#/database/connection-string.ts'
import { driverOptions } from '#/database/driver-options.ts'
import { waitForDatabase } from '#/database/wait-for-database.ts'
import { freePort } from '../support/ports.ts'
import { createHome, type Home, mainPath, runNode } from '../support/process.ts'
import { type Service, servicesDirectory, startPostgres } from '../support/services.ts'

const meet = (url: string, timeoutMs = 0, onRetry: (message: string) => void = () => {}) =>
  waitForDatabase(parseConnectionString(url, 'DATABASE_URL'), { timeoutMs, onRetry })

/** Where the only statement of a new connection ran. */
async function ask<T>(url: string, statement: string): Promise<T | undefined> {
  const client = postgres({ ...driverOptions(parseConnectionString(url, 'X')), max: 1 })
  try {
    const [row] = await client.unsafe<{ answer: T }[]>(statement)
    return row?.answer
  } finally {
    await client.end({ timeout: 1 })
  }
}

let server: Service
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server?.remove())

const dataOf = (url: string) =>
  ask<string>(url, `select current_setting('data_directory') as answer`)

/** What listens there is the service from now on. */
async function forwardTo(service: Service, port: number) {
  const forward = createServer((socket) => {
    const onward = connect(service.port, '127.0.0.1')
    socket.pipe(onward).pipe(socket)
    socket.on('error', () => onward.destroy())
    onward.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => forward.listen(port, '127.0.0.1', resolve))
  return forward
}

describe('a start', () => {
  let home: Home
  beforeAll(async () => {
    home = await createHome()
  })
  afterAll(() => home?.remove())
  const settings = (url: string) => ({
    DATABASE_URL: url,
    SESSION_SECRET: 'a session secret of 32 characters or more',
  })

  it('names setting, host and port when no database comes in time, and never the password', async () => {
    const port = await freePort()
    const url = `postgres://u:hunter2@127.0.0.1:${port}/n`
    const exit = await home.run({ ...settings(url), DB_START_TIMEOUT: '2s' })
    expect(exit.code).toBe(1)
    expect(exit.stderr).toMatch(
      `AuthGate could not start: DATABASE_URL (127.0.0.1:${port}): no connection to 127.0.0.1:${port} (connect ECONNREFUSED`,
    )
    expect(exit.stderr).toContain('(DB_START_TIMEOUT)')
    const tries = exit.stdout.split('\n').filter((line) => line.includes('ECONNREFUSED'))
    expect(tries.length).toBeGreaterThanOrEqual(2)
    expect(exit.stdout + exit.stderr).not.toContain('hunter2')
  })

  it('waits for a database that comes', async () => {
    const port = await freePort()
    const waiting = meet(`postgres://postgres@127.0.0.1:${port}/postgres`, 60_000)
    await sleep(500)
    const forward = await forwardTo(server, port)
    expect(await waiting).toEqual({ pooled: false })
    forward.close()
  })

  it('fails at once for a database that does not exist', async () => {
    const url = server.url.replace(/postgres$/, 'nothing')
    const tries: string[] = []
    await expect(meet(url, 60_000, (line) => tries.push(line))).rejects.toThrow(
      /^DATABASE_URL \(127\.0\.0\.1:\d+\): database "nothing" does not exist\. Create the database/,
    )
    expect(tries).toEqual([])
  })

  it('that waits ends at once with SIGTERM', async () => {
    const port = await freePort()
    const url = `postgres://u:p@127.0.0.1:${port}/n`
    const environment = { ...home.settings, ...settings(url), DB_START_TIMEOUT: '10m' }
    const running = runNode([mainPath], { settings: environment })
    await expect
      .poll(() => running.output.stdout, { timeout: 60_000, interval: 20 })
      .toContain('ECONNREFUSED')
    running.child.kill('SIGTERM')
    expect(await running.exited).toMatchObject({ code: 0, signal: null })
  })
})

it('a Unix socket is one', async () => {
  const directory = join((await dataOf(server.url)) ?? '', '..')
  const answer = 'select inet_client_addr() is null as answer'
  for (const url of [
    `postgres://postgres@/postgres?host=${directory}&port=${server.port}`,
    `postgres://postgres@${encodeURIComponent(directory)}:${server.port}/postgres`,
  ])
    expect(await ask(url, answer)).toBe(true)
})

it('says its name, and takes options', async () => {
  const url = `${server.url}?options=-c%20work_mem%3D123kB`
  expect(await ask(url, `select current_setting('application_name') as answer`)).toBe('authgate')
  expect(await ask(url, `select current_setting('work_mem') as answer`)).toBe('123kB')
})

describe('TLS', () => {
  let secure: Service
  const file = (name: string) => join(servicesDirectory(), name)
  beforeAll(async () => {
    makeCertificates()
    const settings = {
      ssl: 'on',
      ssl_cert_file: file('server.crt'),
      ssl_key_file: file('server.key'),
    }
    secure = await startPostgres({ settings })
  })
  afterAll(() => secure?.remove())

  /** An authority, and a certificate of its for `localhost` alone. */
  function makeCertificates() {
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
    const made = (name: string) => ['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)]
    openssl('req', '-x509', ...key, '-subj', '/CN=authority', ...made('ca'))
    openssl('req', '-x509', ...key, '-subj', '/CN=other authority', ...made('other'))
    const signed = ['-CA', file('ca.crt'), '-CAkey', file('ca.key')]
    const name = ['-subj', '/CN=db', '-addext', 'subjectAltName=DNS:localhost']
    openssl('req', '-x509', ...key, ...name, ...signed, ...made('server'))
    chmodSync(file('server.key'), 0o600)
    chmodSync(file('server.crt'), 0o644)
    if (process.getuid?.() !== 0) return
    const id = (flag: string) =>
      Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
    chownSync(file('server.key'), id('-u'), id('-g'))
    expect(statSync(file('server.key')).uid).toBe(id('-u'))
  }

  const at = (host: string, query: string) =>
    `postgres://postgres@${host}:${secure.port}/postgres?${query}`
  const encrypted = (url: string) =>
    ask<boolean>(url, 'select ssl as answer from pg_stat_ssl where pid = pg_backend_pid()')
  const ca = () => `sslrootcert=${file('ca.crt')}`
  const other = () => `sslrootcert=${file('other.crt')}`

  it('is used as the mode says', async () => {
    expect(await encrypted(at('127.0.0.1', 'sslmode=disable'))).toBe(false)
    for (const query of ['sslmode=prefer', 'sslmode=require', `sslmode=verify-ca&${ca()}`])
      expect([query, await encrypted(at('127.0.0.1', query))]).toEqual([query, true])
    expect(await encrypted(at('localhost', `sslmode=verify-full&${ca()}`))).toBe(true)
  })

  it.each<[string, () => string]>([
    ['a name that is not its own', () => at('127.0.0.1', `sslmode=verify-full&${ca()}`)],
    ['another authority', () => at('localhost', `sslmode=verify-full&${other()}`)],
    ['another authority, whatever the name', () => at('localhost', `sslmode=verify-ca&${other()}`)],
    [
      'another authority with require, as libpq',
      () => at('localhost', `sslmode=require&${other()}`),
    ],
    ['nobody that is known', () => at('localhost', 'sslmode=verify-full')],
  ])('refuses a server that shows the certificate of %s, at once', async (_, url) => {
    await expect(meet(url(), 60_000)).rejects.toThrow(/^DATABASE_URL \(.*TLS with .* failed \(/)
  })

  it('says that a server does not offer it; prefer goes on without', async () => {
    await expect(meet(`${server.url}?sslmode=require`, 60_000)).rejects.toThrow(
      /the server at 127\.0\.0\.1:\d+ does not offer TLS, which sslmode=require in DATABASE_URL asks for\.$/,
    )
    expect(await meet(`${server.url}?sslmode=prefer`)).toEqual({ pooled: false })
  })
})

describe('several hosts', () => {
  let primary: Service
  let standby: { port: number; stop(): Promise<void> }
  beforeAll(async () => {
    primary = await startPostgres()
    standby = await startStandby(primary)
  })
  afterAll(async () => {
    await standby?.stop()
    await primary?.remove()
  })

  /** A copy that follows, as pg_basebackup makes one. The guard of the services ends it if we do not. */
  async function startStandby(of: Service) {
    const bin = globSync('/usr/lib/postgresql/*/bin').sort().at(-1) ?? ''
    const directory = mkdtempSync(join(servicesDirectory(), 'standby-'))
    const asUser =
      process.getuid?.() === 0
        ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups']
        : ['env']
    if (process.getuid?.() === 0) execFileSync('chown', ['postgres:postgres', directory])
    const data = join(directory, 'data')
    const [first = '', ...rest] = asUser
    const copy = ['-D', data, '-R', '-X', 'stream', '-c', 'fast', '-d', of.url]
    execFileSync(first, [...rest, join(bin, 'pg_basebackup'), ...copy], { cwd: directory })
    const port = await freePort()
    const server = ['-D', data, '-p', `${port}`, '-k', directory, '-c', 'fsync=off']
    const shared = ['-c', 'listen_addresses=127.0.0.1', '-c', 'dynamic_shared_memory_type=mmap']
    const child = spawn(first, [...rest, join(bin, 'postgres'), ...server, ...shared], {
      cwd: directory,
      stdio: 'ignore',
    })
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`
    expect(await meet(url, 60_000)).toEqual({ pooled: false })
    return {
      port,
      async stop() {
        child.kill('SIGQUIT')
        await ended
      },
    }
  }

  it('lead to the one that takes writes, wherever it stands and after a failover, and all of it says so while there is none', async () => {
    const hosts = [standby, primary].map(({ port }) => `127.0.0.1:${port}`)
    const url = (order: readonly string[], query = '') =>
      `postgres://postgres@${order.join(',')}/postgres${query}`
    const port = `select current_setting('port') as answer`
    expect(await ask(url(hosts), port)).toBe(String(primary.port))
    expect(await ask(url(hosts.toReversed()), port)).toBe(String(primary.port))
    const one = url(hosts.slice(0, 1))
    await expect(meet(`${one}?target_session_attrs=read-write`)).rejects.toThrow(/read-only/)

    const target = parseConnectionString(url(hosts), 'DATABASE_URL')
    const client = postgres({ ...driverOptions(target), max: 3 })
    const where = async () => (await client`select current_setting('port') as port`)[0]?.['port']
    expect(await where()).toBe(String(primary.port))
    await primary.stop('SIGKILL')
    const refusal = () =>
      client`create table t (n int)`.then(
        () => 'taken',
        (error: Error) => error.message,
      )
    // Who takes writes is asked at most once a second.
    await expect
      .poll(refusal, { timeout: 10_000, interval: 100 })
      .toMatch(/no host accepts writes \(.*read-only/)
    expect(await ask(one, 'select pg_promote() as answer')).toBe(true)
    await expect
      .poll(() => where().catch(() => undefined), { timeout: 20_000, interval: 50 })
      .toBe(String(standby.port))
    await client`create table t (n int)`
    await client.end({ timeout: 1 })
  })
})
