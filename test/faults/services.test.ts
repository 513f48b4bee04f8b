/** The instruments of the other tests here: a freeze that misses a backend, or a disk that is not full, would prove nothing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import sql from 'postgres'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { nodePath } from '../support/process.ts'
import {
  canMount,
  type Service,
  startPgBouncer,
  startPostgres,
  startRedis,
  terminateBackends,
} from '../support/services.ts'

const started: Service[] = []
afterAll(() => Promise.all(started.map((service) => service.remove())))

async function keep<T extends Service>(service: Promise<T>): Promise<T> {
  started.push(await service)
  return service
}

function connect(service: Service, max = 1) {
  const client = sql(service.url, { max, onnotice: () => {}, connect_timeout: 5, prepare: false })
  onTestFinished(() => client.end({ timeout: 1 }))
  return client
}

const within = <T>(milliseconds: number, work: PromiseLike<T>) =>
  Promise.race([work, sleep(milliseconds, 'nothing' as const)])

test('a frozen Postgres answers on no connection, and thawed on all', async () => {
  const server = await keep(startPostgres())
  const client = connect(server, 8)
  const askAll = () => Promise.all(Array.from({ length: 8 }, () => client`select pg_sleep(0.05)`))
  await askAll()
  await server.freeze()
  const asked = askAll()
  expect(await within(500, Promise.any([asked, connect(server)`select 1`]))).toBe('nothing')
  await server.thaw()
  expect(await asked).toHaveLength(8)
})

test('a Postgres that was killed starts with what had been committed', async () => {
  const server = await keep(startPostgres())
  await connect(server)`create table kept as select 1 as one`
  const before = server.pid
  for (const signal of ['SIGKILL', 'SIGQUIT', 'SIGINT'] as const) {
    await server.stop(signal)
    await server.start()
  }
  expect(server.pid).not.toBe(before)
  expect(await connect(server)`select one from kept`).toEqual([{ one: 1 }])
})

test('backends are terminated by a condition, and all but the own without one', async () => {
  const server = await keep(startPostgres())
  const client = connect(server, 3)
  const waiting = client`select pg_sleep(60)`.catch((error: { code?: string }) => error.code)
  await connect(server)`select 1`
  const sleeping = `query like '%pg_sleep(60)%'`
  await expect.poll(() => terminateBackends(server, sleeping), { timeout: 5000 }).toBe(1)
  expect(['57P01', 'CONNECTION_CLOSED']).toContain(await waiting)
  expect(await terminateBackends(server)).toBeGreaterThan(0)
})

test.runIf(canMount())('a full disk refuses rows with 53100 until it is freed', async () => {
  const server = await keep(startPostgres({ diskMegabytes: 128 }))
  const client = connect(server)
  await client`create table filled (text text)`
  const fill = () =>
    client`insert into filled select repeat('x', 1000) from generate_series(1, 5000)`
  server.fillDisk()
  await expect(fill()).rejects.toMatchObject({ code: '53100' })
  expect(await client`select 1 as one`).toEqual([{ one: 1 }])
  server.freeDisk()
  expect((await fill()).count).toBe(5000)
})

test('the clock of a Postgres moves forwards while it runs', async () => {
  const server = await keep(startPostgres({ clock: true }))
  const client = connect(server)
  const ahead = async () => {
    const [row] = await client`select extract(epoch from now())::float8 as now`
    return Number(row?.['now']) - Date.now() / 1000
  }
  expect(await ahead()).toBeCloseTo(0, -1)
  server.moveClock(3600)
  expect(await ahead()).toBeCloseTo(3600, -1)
})

test('PgBouncer pools transactions, Redis answers, and both come back', async () => {
  const server = await keep(startPostgres())
  const pooler = await keep(startPgBouncer(server))
  const redis = await keep(startRedis())
  for (const service of [pooler, redis]) {
    await service.stop()
    await service.start()
    await service.freeze()
    await service.thaw()
  }
  const client = connect(pooler, 2)
  const seen = await Promise.all([client`select pg_backend_pid() as pid`, client`select 1`])
  expect(seen).toHaveLength(2)
  const state = await connect(server)`select count(*)::int as count from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()`
  expect(state[0]?.['count']).toBeGreaterThan(0)
})

test('nothing is left behind by a process that is killed', async () => {
  const module = new URL('../support/services.ts', import.meta.url).href
  const script = `const { servicesDirectory, startPostgres } = await import(${JSON.stringify(module)})
    const { pid, freeze } = await startPostgres()
    await freeze()
    console.log(servicesDirectory(), pid)
    setInterval(() => {}, 1000)`
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const child = spawn(nodePath, ['--input-type=module', '-e', script], { cwd })
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  const [directory = '', pid = ''] = line.trim().split(' ')
  expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) T/)
  child.kill('SIGKILL')
  await expect.poll(() => existsSync(directory), { timeout: 10_000 }).toBe(false)
  // Where nobody collects orphans, a zombie stays.
  const rest = existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ') Z'
  expect(rest).toMatch(/\) Z/)
})
