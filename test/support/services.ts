/**
 * Postgres, PgBouncer and Redis of one's own, to be frozen, killed, filled up and started again. Linux with Debian's packages, as
 * root or not. A service is every process that works in its directory: so the backends of a Postgres are found, and nothing else.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { freePort } from './ports.ts'

export interface Service {
  readonly url: string
  readonly port: number
  /** Of the process that listens; another one after each start. */
  readonly pid: number
  /** Stops every process of it where it stands (SIGSTOP): connections stay open and nobody answers. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /** SIGKILL ends all its processes at once; SIGQUIT is Postgres' immediate and SIGINT its fast shutdown. */
  stop(signal?: 'SIGKILL' | 'SIGQUIT' | 'SIGINT'): Promise<void>
  /** On the same port, with the same data. */
  start(): Promise<void>
  /** What it has written. */
  log(): string
  /** Ends it and leaves nothing behind. */
  remove(): Promise<void>
}

export interface Postgres extends Service {
  /** From now on nothing more can be stored (SQLSTATE 53100), while the log of transactions still has room. Needs `diskMegabytes`. */
  fillDisk(): void
  freeDisk(): void
  /** Moves its clock to so many seconds after the real one. Needs `clock`. */
  moveClock(seconds: number): void
}

export interface PostgresSettings {
  readonly maxConnections?: number
  /** As `-c name=value`. */
  readonly settings?: Readonly<Record<string, string>>
  /** The data lie on a disk of this size of their own, which `fillDisk` fills. Needs the right to mount. */
  readonly diskMegabytes?: number
  /** Runs under libfaketime (Debian: faketime). */
  readonly clock?: boolean
}

/** Answers when it takes statements. */
export async function startPostgres(options: PostgresSettings = {}): Promise<Postgres> {
  const directory = createDirectory('postgres')
  const data = join(directory, 'data')
  if (options.diskMegabytes !== undefined) mountDisk(data, options.diskMegabytes)
  createCluster(directory, data)
  const clockFile = join(directory, 'clock')
  writeFileSync(clockFile, '+0')
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const settings = {
    listen_addresses: '127.0.0.1',
    // The machine does not lose its power here, only its processes.
    fsync: 'off',
    // In its directory, where nothing outlives it.
    dynamic_shared_memory_type: 'mmap',
    max_connections: String(options.maxConnections ?? 100),
    ...options.settings,
  }
  const service = await startService({
    directory,
    port,
    url,
    command: join(postgresBin(), 'postgres'),
    args: ['-D', data, '-p', String(port), '-k', directory].concat(
      Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ),
    environment: options.clock === true ? clockEnvironment(clockFile) : {},
    isReady: () => query(url, 'select 1'),
  })
  return Object.assign(service, {
    fillDisk: () => resizeDisk(data, usedKilobytes(data)),
    freeDisk: () => resizeDisk(data, (options.diskMegabytes ?? 0) * 1024),
    moveClock(seconds: number) {
      if (options.clock !== true) throw new Error('this Postgres was started without a clock')
      writeFileSync(clockFile, `+${seconds}`)
    },
  })
}

/** A pooler in front of that Postgres, as hosted ones have it. */
export async function startPgBouncer(
  server: Service,
  {
    poolMode = 'transaction',
    users = ['postgres'],
    settings = {},
  }: {
    poolMode?: 'session' | 'transaction'
    users?: readonly string[]
    settings?: Readonly<Record<string, string>>
  } = {},
): Promise<Service> {
  const directory = createDirectory('pgbouncer')
  const port = await freePort()
  const userFile = join(directory, 'users.txt')
  const configuration = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: userFile,
    pool_mode: poolMode,
    max_client_conn: '500',
    default_pool_size: '20',
    ...settings,
  }
  const file = join(directory, 'pgbouncer.ini')
  writeFileSync(userFile, users.map((user) => `"${user}" ""\n`).join(''))
  writeFileSync(
    file,
    [
      '[databases]',
      `* = host=127.0.0.1 port=${server.port}`,
      '[pgbouncer]',
      ...Object.entries(configuration).map(([name, value]) => `${name} = ${value}`),
      '',
    ].join('\n'),
  )
  return startService({
    directory,
    port,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    command: requireCommand('/usr/sbin/pgbouncer', 'pgbouncer'),
    args: [file],
    isReady: () => accepts(port),
  })
}

/** A Redis that forgets everything when it is stopped. */
export async function startRedis(): Promise<Service> {
  const directory = createDirectory('redis')
  const port = await freePort()
  return startService({
    directory,
    port,
    url: `redis://127.0.0.1:${port}`,
    command: requireCommand('/usr/bin/redis-server', 'redis-server'),
    args: `--port ${port} --bind 127.0.0.1 --appendonly no --dir ${directory} --save`
      .split(' ')
      .concat(''),
    isReady: () => accepts(port),
  })
}

/** Ends connections as an administrator or a failover does; answers how many. `where` is SQL on pg_stat_activity. */
export async function terminateBackends(server: Service, where = 'true'): Promise<number> {
  const rows = await query(
    server.url,
    `select pg_terminate_backend(pid) from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid() and (${where})`,
  )
  return rows.length
}

/** Whether this machine lets us mount, which a disk of its own needs. */
export function canMount(): boolean {
  const at = createDirectory('mount')
  try {
    mountDisk(at, 1)
    unmountBelow(at)
    return true
  } catch {
    return false
  } finally {
    rmSync(at, { recursive: true, force: true })
  }
}

interface Launch {
  readonly directory: string
  readonly port: number
  readonly url: string
  readonly command: string
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  isReady(): Promise<unknown>
}

async function startService(launch: Launch): Promise<Service> {
  const { directory, url, port } = launch
  const log = () => readFileSync(join(directory, 'log'), 'utf8')
  let child: ChildProcess | undefined
  const signalAll = (signal: NodeJS.Signals) => {
    for (const pid of processesIn(directory)) signalProcess(pid, signal)
  }
  const untilEmpty = async (signal: NodeJS.Signals) => {
    for (const deadline = performance.now() + 30_000; processesIn(directory).length > 0; ) {
      if (performance.now() > deadline) throw new Error(`${launch.command} does not end:\n${log()}`)
      if (signal === 'SIGKILL') signalAll('SIGKILL')
      await sleep(5)
    }
  }
  const service: Service = {
    url,
    port,
    get pid() {
      return child?.pid ?? 0
    },
    async freeze() {
      for (let running = runningIn(directory); running.length > 0; running = runningIn(directory))
        for (const pid of running) signalProcess(pid, 'SIGSTOP')
    },
    thaw: async () => signalAll('SIGCONT'),
    async stop(signal = 'SIGKILL') {
      if (signal === 'SIGKILL') signalAll(signal)
      else child?.kill(signal)
      await untilEmpty(signal)
    },
    async start() {
      child = launchProcess(launch)
      await untilReady(launch, child, log)
    },
    log,
    async remove() {
      // At SIGQUIT a Postgres gives its shared memory back.
      signalAll('SIGCONT')
      child?.kill('SIGQUIT')
      await untilEmpty('SIGQUIT')
      unmountBelow(directory)
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  await service.start()
  return service
}

function launchProcess({ command, args, directory, environment = {} }: Launch): ChildProcess {
  const output = openSync(join(directory, 'log'), 'a')
  const { PATH = '' } = process.env
  // Neither setpriv nor env changes the process id.
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  const [file = '', ...rest] = [...asServiceUser(), 'env', ...variables, command, ...args]
  return spawn(file, rest, {
    cwd: directory,
    env: { PATH, LC_ALL: 'C.UTF-8' },
    detached: true,
    stdio: ['ignore', output, output],
  }).on('error', () => {})
}

async function untilReady(launch: Launch, child: ChildProcess, log: () => string) {
  for (const deadline = performance.now() + 60_000; ; await sleep(20)) {
    try {
      await launch.isReady()
      return
    } catch (cause) {
      const ended = child.exitCode !== null || child.signalCode !== null
      if (ended || performance.now() > deadline)
        throw new Error(`${launch.command} did not start:\n${log()}`, { cause })
    }
  }
}

const processIds = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name))

/** A process that has ended meanwhile, or that belongs to somebody else, has nothing to tell. */
function ask<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

const processesIn = (directory: string) =>
  processIds()
    .filter((pid) => ask(() => readlinkSync(`/proc/${pid}/cwd`))?.startsWith(directory))
    .map(Number)

const runningIn = (directory: string) =>
  processesIn(directory).filter((pid) => {
    const stat = ask(() => readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? ') Z'
    return !/\) [TZX]/.test(stat)
  })

const signalProcess = (pid: number, signal: NodeJS.Signals) => ask(() => process.kill(pid, signal))

let servicesRoot: string | undefined

/** Where everything of this process lies. A shell of its own watches us and cleans up there, however we end. */
export function servicesDirectory(): string {
  if (servicesRoot !== undefined) return servicesRoot
  const root = mkdtempSync(join(tmpdir(), 'authgate-services-'))
  // Others must pass through on the way to their own.
  chmodSync(root, 0o711)
  const guard = spawn('sh', ['-c', cleanUp, 'sh', root], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.unref()
  if (guard.stdin !== null && 'unref' in guard.stdin) (guard.stdin as unknown as Unref).unref()
  servicesRoot = root
  return root
}

interface Unref {
  unref(): void
}

const cleanUp = `
cat >/dev/null
for signal in CONT QUIT wait wait wait wait wait KILL KILL KILL; do
  found=$(find /proc -maxdepth 2 -name cwd -lname "$1/*" 2>/dev/null)
  [ -n "$found" ] || break
  for link in $found; do
    pid="\${link#/proc/}"
    [ "$signal" = wait ] || kill -s "$signal" "\${pid%/cwd}"
  done
  sleep 0.2
done
while read -r _ at _; do
  case "$at" in "$1"/*) umount -l "$at" ;; esac
done </proc/mounts
rm -rf "$1"
`

function createDirectory(kind: string): string {
  const directory = mkdtempSync(join(servicesDirectory(), `${kind}-`))
  giveAway(directory)
  return directory
}

const isRoot = process.getuid?.() === 0

/** Postgres and PgBouncer refuse to run as root, so root runs them as the user of Debian's package. */
const asServiceUser = () =>
  isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : []

function giveAway(path: string) {
  if (!isRoot) return
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  chownSync(path, id('-u'), id('-g'))
}

function postgresBin(): string {
  const [newest] = globSync('/usr/lib/postgresql/*/bin/postgres').sort().reverse()
  return join(requireCommand(newest ?? '/usr/lib/postgresql/15/bin/postgres', 'postgresql'), '..')
}

function requireCommand(path: string, debianPackage: string): string {
  if (!existsSync(path)) throw new Error(`there is no ${path}: apt-get install ${debianPackage}`)
  return path
}

function run(command: string, ...args: string[]) {
  const [file = '', ...rest] = [...asServiceUser(), command, ...args]
  execFileSync(file, rest, { cwd: '/', stdio: ['ignore', 'ignore', 'inherit'] })
}

let cluster: string | undefined

/** Postgres sets up a cluster once; what is started gets a copy. Its log of transactions lies beside it, so a full disk is not a crash. */
function createCluster(directory: string, data: string) {
  if (cluster === undefined) {
    cluster = join(createDirectory('cluster'), 'data')
    run(join(postgresBin(), 'initdb'), '-D', cluster, '-A', 'trust', '-U', 'postgres', '-N')
  }
  const log = join(directory, 'pg_wal')
  run('cp', '-a', '--reflink=auto', `${cluster}/.`, data)
  run('mv', join(data, 'pg_wal'), log)
  run('ln', '-s', log, join(data, 'pg_wal'))
}

function mountDisk(at: string, megabytes: number) {
  mkdirSync(at, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700`, 'tmpfs', at], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  giveAway(at)
}

const usedKilobytes = (at: string) => {
  const { blocks, bfree, bsize } = statfsSync(at)
  return Math.ceil(((blocks - bfree) * bsize) / 1024)
}

function resizeDisk(at: string, kilobytes: number) {
  for (let tries = 100; ; tries--)
    try {
      execFileSync('mount', ['-o', `remount,size=${kilobytes}k`, at], { stdio: 'pipe' })
      return
    } catch (error) {
      // It has grown in between.
      if (tries === 0) throw error
      kilobytes = Math.max(kilobytes, usedKilobytes(at))
    }
}

function unmountBelow(directory: string) {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n')
  for (const [, at = ''] of mounts.map((line) => line.split(' ')))
    if (at.startsWith(directory)) execFileSync('umount', ['-l', at], { stdio: 'ignore' })
}

function clockEnvironment(file: string): Record<string, string> {
  const [library] = globSync('/usr/lib/*/faketime/libfaketime.so.1')
  return {
    LD_PRELOAD: requireCommand(library ?? '/usr/lib/faketime/libfaketime.so.1', 'faketime'),
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  }
}

async function query(url: string, statement: string) {
  const client = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 5 })
  try {
    return await client.unsafe(statement)
  } finally {
    await client.end({ timeout: 1 })
  }
}

const accepts = (port: number) =>
  new Promise<void>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject).once('connect', () => {
      socket.destroy()
      resolve()
    })
  })
