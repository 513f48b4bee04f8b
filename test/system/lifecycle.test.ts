/** The life of a process: first start, restart, crash, drain; and starts that must fail with a sentence. */
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openBrowser } from '../support/browser.ts'
import { freePort } from '../support/ports.ts'
import { createHome, type Home, mainPath, runNode, type ServerProcess } from '../support/process.ts'

let home: Home
beforeEach(async () => {
  home = await createHome()
})
afterEach(() => home.remove())

/** Leaves the making of the embedded database to the server. */
async function startFromNothing() {
  await home.remove()
  home = await createHome({ fresh: true })
}

/** Also where the suite runs on a real Postgres. */
const embedded = { DATABASE_URL: '', SESSION_SECRET: '' }

const signIn = async (server: ServerProcess) => {
  const browser = openBrowser(server)
  const { username, password } = home.credentials()
  expect((await browser.signIn(username, { password })).status).toBe(303)
  return browser
}

const below = (directory: string) => [
  directory,
  ...readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) =>
    join(directory, name),
  ),
]

/** A file that goes meanwhile is open to nobody. */
const openToOthers = (directory: string) =>
  below(directory).filter(
    (path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0,
  )

const keySet = async (server: ServerProcess) =>
  (await server.request('/.well-known/jwks.json')).json()

describe('first start', () => {
  it('keeps what it has made in a file of exactly three lines that only its owner can read', async () => {
    await startFromNothing()
    const server = await home.start({ DEFAULT_ADMIN_PASSWORD: '' })
    const file = join(home.dataDir, 'authgate-credentials.txt')
    const { password, clientId } = home.credentials()
    expect(readFileSync(file, 'utf8')).toBe(
      `username=admin\npassword=${password}\nclient_id=${clientId}\n`,
    )
    expect(password).toMatch(/^[\w-]{20}$/)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(home.dataDir).mode & 0o777).toBe(0o700)
    expect(server.output()).toContain(password)
    const browser = await signIn(server)
    const held = await browser.get('/admin')
    expect(held.headers.get('location')).toMatch(/^\/account\/password\?/)
  })

  it('happens once: the second start makes no file and tells no password', async () => {
    const first = await home.start()
    const credentials = home.credentials()
    const file = join(home.dataDir, 'authgate-credentials.txt')
    await first.stop()
    rmSync(file)
    const second = await home.start()
    expect(existsSync(file)).toBe(false)
    expect(second.output()).not.toContain('First start')
    const browser = openBrowser(second)
    const { username, password } = credentials
    expect((await browser.signIn(username, { password })).headers.get('location')).toBe(
      '/account/devices',
    )
  })

  it('takes the password of DEFAULT_ADMIN_PASSWORD, tells it nobody, and says where it is weak', async () => {
    const password = 'trustno1'
    const server = await home.start({ DEFAULT_ADMIN_PASSWORD: password })
    expect((await openBrowser(server).signIn('admin', { password })).status).toBe(303)
    const file = readFileSync(join(home.dataDir, 'authgate-credentials.txt'), 'utf8')
    expect(file).toMatch(/^username=admin\nclient_id=[\w-]+\n$/)
    expect(server.output()).toContain(
      'DEFAULT_ADMIN_PASSWORD should be changed. This is a common password',
    )
    const { stdout, stderr } = await server.stop()
    expect(stdout + stderr).not.toContain(password)
  })
})

describe('one data directory', () => {
  it('is closed to others, whatever it and its files allowed before, at work and after a restart', async () => {
    await startFromNothing()
    mkdirSync(home.dataDir)
    chmodSync(home.dataDir, 0o777)
    const server = await home.start(embedded)
    await signIn(server)
    expect(openToOthers(home.dataDir)).toEqual([])
    await server.stop()
    expect(openToOthers(home.dataDir)).toEqual([])
    for (const path of below(home.dataDir)) chmodSync(path, 0o777)
    await signIn(await home.start(embedded))
    expect(openToOthers(home.dataDir)).toEqual([])
  })

  it('serves one process: the second is refused with a sentence, and the first goes on', async () => {
    const server = await home.start(embedded)
    const refused = await home.run({
      ...embedded,
      PORT: String(await freePort()),
      OTEL_EXPORTER_PROMETHEUS_PORT: String(await freePort()),
    })
    expect(refused.code).toBe(1)
    expect(refused.stderr).toBe(
      `AuthGate could not start: ${home.dataDir} is in use by another AuthGate (process ${server.pid}). Stop it, or set DATA_DIR to another directory.\n`,
    )
    await signIn(server)
  })

  it('is free again after kill -9, and nothing that was committed is lost', async () => {
    const server = await home.start(embedded)
    const browser = await signIn(server)
    const keys = await keySet(server)
    expect(await server.kill()).toMatchObject({ signal: 'SIGKILL' })
    const again = await home.start(embedded)
    expect((await browser.get('/account/devices')).status).toBe(200)
    expect(await keySet(again)).toEqual(keys)
    expect((await again.samples()).get('sessions_active')).toBe(1)
  })
})

describe('a restart', () => {
  it('keeps the sessions and their count: 1, restart, 1, sign out, 0', async () => {
    const before = await home.start()
    const browser = await signIn(before)
    expect((await before.samples()).get('sessions_active')).toBe(1)
    await before.stop()

    const after = await home.start()
    const restarted = await after.samples()
    expect(restarted.get('sessions_active')).toBe(1)
    // Counters start again with the process; the gauge is asked of the database.
    expect(restarted.get('sessions_created_total')).toBe(0)
    expect((await browser.get('/account/devices')).status).toBe(200)
    expect((await browser.signOut()).status).toBe(303)
    const end = await after.samples()
    expect(end.get('sessions_active')).toBe(0)
    expect(end.get('sessions_expired_total{reason="logout"}')).toBe(1)
    expect(end.get('auth_logout_total')).toBe(1)
    expect((await browser.get('/account/devices')).status).toBe(303)
  })
})

describe('SIGTERM', () => {
  /** A request whose body is not complete yet. */
  async function openSlowRequest(server: ServerProcess) {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    socket.write(
      `POST /oauth/token HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 18\r\n\r\ngrant_ty`,
    )
    await expect
      .poll(async () => (await server.samples()).get(activePosts), { timeout: 5000 })
      .toBe(1)
    return socket
  }
  const activePosts = 'http_server_active_requests{http_request_method="POST",url_scheme="http"}'

  const answerOf = async (socket: Socket) => {
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    await once(socket, 'close')
    return text
  }

  it('lets a slow request finish, takes no new one, and exits 0', async () => {
    const server = await home.start()
    const socket = await openSlowRequest(server)
    const answer = answerOf(socket)
    const start = performance.now()
    const exit = server.stop()
    await expect
      .poll(
        () =>
          server.request('/livez').then(
            () => 'answered',
            () => 'refused',
          ),
        { timeout: 5000 },
      )
      .toBe('refused')
    socket.write('pe=unknown')
    expect(await answer).toMatch(/^HTTP\/1\.1 400 [\s\S]*"error":"invalid_request"/)
    expect(await exit).toMatchObject({ code: 0, signal: null })
    // Far from the 10 s after which it would be cut off: the connection is not kept for a request that may not come.
    expect(performance.now() - start).toBeLessThan(6000)
  })

  it('does not wait beyond SERVER_SHUTDOWN_TIMEOUT for a request that never ends', async () => {
    const server = await home.start({ SERVER_SHUTDOWN_TIMEOUT: '500ms' })
    const socket = await openSlowRequest(server)
    const answer = answerOf(socket)
    const start = performance.now()
    expect(await server.stop()).toMatchObject({ code: 0, signal: null })
    expect(performance.now() - start).toBeLessThan(5000)
    expect(await answer).toBe('')
  })
})

describe('a start that cannot be', () => {
  it('lists every problem of the configuration at once, without a secret, and exits 1', async () => {
    await startFromNothing()
    const { code, stdout, stderr } = await home.run({
      PORT: 'eighty',
      SESSION_SECRET: 'too-short-secret',
      METRICS_ENABLED: 'maybe',
      JWT_EXPIRATION: '1 hour',
      OTEL_EXPORTER_PROMETHEUS_HOST: '0.0.0.0',
      DATABASE_DSN: 'oauth.db',
    })
    expect(code).toBe(1)
    expect(stdout).toBe('')
    const [heading, ...problems] = stderr.trim().split('\n')
    const named = problems.map((line) => line.trim().split(':')[0])
    expect(named).toEqual(
      expect.arrayContaining([
        'DATABASE_DSN',
        'PORT',
        'SESSION_SECRET',
        'METRICS_ENABLED',
        'JWT_EXPIRATION',
      ]),
    )
    expect(heading).toBe(`The configuration has ${problems.length} problems:`)
    expect(stderr).not.toContain('too-short-secret')
    expect(existsSync(home.dataDir)).toBe(false)
  })

  it('names the port that is taken, and exits 1', async () => {
    const server = await home.start(embedded)
    const port = new URL(server.url).port
    const { code, stderr } = await home.run({
      ...embedded,
      DATA_DIR: join(home.dataDir, 'another'),
      OTEL_EXPORTER_PROMETHEUS_PORT: String(await freePort()),
    })
    expect(code).toBe(1)
    expect(stderr).toContain(port)
    expect(stderr).not.toMatch(/^\s+at /m)
  })
})

describe('SESSION_SECRET', () => {
  const old = 'the old session secret of 32 characters or more'
  const next = 'the new session secret of 32 characters or more'

  it('rotates with "new,old", and "new" alone opens what was sealed since', async () => {
    const first = await home.start({ SESSION_SECRET: old })
    const early = await signIn(first)
    const keys = await keySet(first)
    await first.stop()

    const both = await home.start({ SESSION_SECRET: `${next},${old}` })
    expect((await early.get('/account/devices')).status).toBe(200)
    const late = await signIn(both)
    expect(await keySet(both)).toEqual(keys)
    await both.stop()

    const alone = await home.start({ SESSION_SECRET: next })
    expect((await late.get('/account/devices')).status).toBe(200)
    expect((await early.get('/account/devices')).status).toBe(303)
    expect(await keySet(alone)).toEqual(keys)
    expect((await alone.samples()).get('sessions_active')).toBe(2)
  })

  it('that opens nothing is refused with a sentence, and spoils nothing', async () => {
    await (await home.start({ SESSION_SECRET: old })).stop()
    const wrong = await home.run({ SESSION_SECRET: next })
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toBe(
      'AuthGate could not start: SESSION_SECRET: none of the secrets opens the signing keys in this database; add the one that sealed them after the new one: new,old.\n',
    )
    await signIn(await home.start({ SESSION_SECRET: old }))
  })
})

describe('the command line', () => {
  const run = (...args: string[]) => runNode([mainPath, ...args]).exited

  it.each(['--help', '-h'])('%s explains how to start and names the settings', async (argument) => {
    const { code, stdout, stderr } = await run(argument)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Usage: npm start')
    for (const name of ['PORT', 'DATABASE_URL', 'SESSION_SECRET', 'METRICS_TOKEN'])
      expect(stdout).toMatch(new RegExp(`^ +${name}\\b`, 'm'))
  })

  it.each(['--version', '-v'])('%s names the build', async (argument) => {
    const { code, stdout } = await run(argument)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^authgate \d+\.\d+\.\d+ \((?:[0-9a-f]{40}|unknown)\)\n$/)
  })

  it('an argument that it does not know is refused, and nothing starts', async () => {
    const { code, stdout, stderr } = await run('--prot=80')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^Unknown argument --prot=80\.\n\nAuthGate, /)
  })

  it('an old Node gets a sentence and not a syntax error', async () => {
    const guard = fileURLToPath(new URL('../../src/boot/node-version.cjs', import.meta.url))
    const script = `Object.defineProperty(process.versions, 'node', { value: '20.19.0' }); require(${JSON.stringify(guard)})`
    const { code, stderr } = await runNode(['-e', script]).exited
    expect(code).toBe(1)
    expect(stderr).toMatch(/^AuthGate needs Node 26 and this is 20\.19\.0\. Run "npm ci"/)
  })
})
