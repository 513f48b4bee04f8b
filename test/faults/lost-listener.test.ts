/** The connection on which changes are announced, lost again and again, and what else the driver cannot lose by itself. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseConnectionString } from '#/database/connection-string.ts'
import { driverOptions } from '#/database/driver-options.ts'
import { type Listener, openListener } from '#/database/listener.ts'
import { nodePath } from '../support/process.ts'
import { type Postgres, startPostgres, terminateBackends } from '../support/services.ts'

let server: Postgres
let sender: postgres.Sql
let listener: Listener
const heard: string[] = []
let connected = 0

beforeAll(async () => {
  server = await startPostgres()
  sender = postgres(server.url, { max: 1, connection: { application_name: 'sender' } })
  listener = await openListener(driverOptions(parseConnectionString(server.url, 'DATABASE_URL')))
  await listener.listen(
    'news',
    (payload) => heard.push(payload),
    () => {
      connected += 1
    },
  )
})

afterAll(async () => {
  await listener?.close()
  await sender?.end({ timeout: 1 })
  await server?.remove()
})

const others = "application_name <> 'sender'"

async function expectToHear(what: string) {
  const hears = async () => {
    await sender`select pg_notify('news', ${what})`
    return heard.includes(what)
  }
  await expect.poll(hears, { timeout: 20_000, interval: 20 }).toBe(true)
}

it('hears again after each of 50 connections that were terminated with answers pending, and says so', async () => {
  await expectToHear('first')
  for (let round = 1; round <= 50; round += 1) {
    const before = connected
    // Something is being asked as it ends.
    const asked = listener.listen(`news ${round}`, () => {}).catch(() => undefined)
    const ended = terminateBackends(server, others)
    const stop = await asked
    expect(await ended).toBeGreaterThan(0)
    await expect.poll(() => connected, { timeout: 10_000, interval: 10 }).toBeGreaterThan(before)
    await stop?.()
    await expectToHear(`round ${round}`)
  }
})

it('hears again after a freeze during which its question got no answer', async () => {
  const before = connected
  await server.freeze()
  // It asks every five seconds, and gives three for the answer.
  await new Promise((resolve) => setTimeout(resolve, 9000))
  await server.thaw()
  await expect.poll(() => connected, { timeout: 10_000 }).toBeGreaterThan(before)
  await expectToHear('after the freeze')
})

/** A transaction of the driver's own, terminated while it waits for a lock: no `try` can catch what follows. */
const alone = `
  import postgres from 'postgres'
  const url = process.argv[1]
  const [one, two, third] = [1, 2, 3].map(() => postgres(url, { max: 1, onnotice() {} }))
  await one.unsafe('create table if not exists held (n int)')
  const locked = Promise.withResolvers()
  const free = Promise.withResolvers()
  const holding = one.begin(async (tx) => {
    await tx.unsafe('lock table held')
    locked.resolve()
    await free.promise
  })
  await locked.promise
  const waiting = two.begin((tx) => tx.unsafe('select * from held')).catch(() => {})
  const end = () => third.unsafe(
    "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'")
  while ((await end()).length === 0);
  await waiting
  await new Promise((resolve) => setTimeout(resolve, 500))
  console.log('survived')
  process.exit(0)
`

it('is needed: the driver by itself ends the process', async () => {
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const args = ['--input-type=module', '-e', alone, server.url]
  const child = spawn(nodePath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  await once(child, 'close')
  expect(
    output,
    'This version of postgres no longer writes to a socket that is gone: see whether connection.ts and decision 21 can become simpler',
  ).toMatch(/Cannot read properties of null \(reading 'write'\)/)
})
