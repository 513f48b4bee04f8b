/** Clients that repeat what failed for our reasons, against a real Postgres that stands still or loses its connections. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { and, eq, isNull, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '#/database/client.ts'
import { setStatementTimeout } from '#/database/deadline.ts'
import { isOutage } from '#/database/errors.ts'
import { type OpenDatabase, openDatabase } from '#/database/open-database.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { tokens } from '#/database/schema/tokens.ts'
import { users } from '#/database/schema/users.ts'
import { consumeProof, withProofs } from '#/domain/proofs/used-proofs.ts'
import { addApproved, addDeviceClient, poll } from '../support/devices.ts'
import { addCode, addFamily, redeem, refreshFor } from '../support/grants.ts'
import { addClient, addUser } from '../support/people.ts'
import { freePort } from '../support/ports.ts'
import { type Postgres, startPostgres } from '../support/services.ts'

let server: Postgres
let direct: OpenDatabase
let network: Network
let distant: OpenDatabase
beforeAll(async () => {
  server = await startPostgres()
  direct = await open(server.url)
  network = await startNetwork(server.port)
  distant = await open(server.url.replace(`:${server.port}/`, `:${network.port}/`))
  // Nothing on our side gives up within these tests; what stops a statement is the deadline that it carries itself.
  setStatementTimeout(5000)
})
afterAll(async () => {
  await distant?.close()
  await direct?.close()
  network?.stop()
  await server?.remove()
})

const open = (url: string) =>
  openDatabase({
    url,
    dataDir: '',
    poolSize: 10,
    countTimeoutMs: 5000,
    timeoutMs: 60_000,
    onAvailability: () => {},
    record: undefined,
    prepare: async () => {},
  })

interface Network {
  readonly port: number
  /** The next answer to a statement that uses something up does not arrive; its connection is lost. */
  loseAnswer(): void
  stop(): void
}

/** What lies between us and a distant database. */
async function startNetwork(target: number): Promise<Network> {
  let armed = false
  const sockets = new Set<Socket>()
  const proxy: Server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    let losing = false
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (data) => {
      losing ||= armed && /with "(consenting|holder)"/.test(data.toString('latin1'))
      far.write(data)
    })
    far.on('data', (data) => {
      // Sent once the statement has been committed.
      if (!losing || !data.includes('SELECT 1\0')) return void near.write(data)
      armed = false
      near.destroy()
    })
  })
  const port = await freePort()
  await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve))
  return {
    port,
    loseAnswer() {
      armed = true
    },
    stop() {
      proxy.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function setUp() {
  const { db } = direct
  const user = await addUser(db)
  const { clientId } = (await addClient(db)).client
  const device = (await addDeviceClient(db)).client.clientId
  const family = await addFamily(db, user, clientId)
  const code = await addCode(db, user, clientId)
  const { deviceCode } = await addApproved(db, user, device)
  return { user, clientId, device, family, code, deviceCode }
}

type Party = Awaited<ReturnType<typeof setUp>>

const refresh = (db: Database, { family: { refreshToken: token }, clientId }: Party) =>
  refreshFor(db, token, clientId)

/** Each way to tokens: how it is gone, and what the first to arrive is answered. */
const ways = {
  refresh: { go: refresh, expected: 'success' },
  code: {
    go: (db: Database, { code, clientId }: Party) => redeem(db, code, clientId),
    expected: 'redeemed',
  },
  device: {
    go: (db: Database, { deviceCode, device }: Party) => poll(db, deviceCode, device),
    expected: 'success',
  },
} as const
const all = Object.entries(ways)

const outcomeOf = (work: Promise<{ readonly result: string }>) =>
  work.then(
    ({ result }) => result,
    (error: unknown) => (isOutage(error) ? 'outage' : Promise.reject(error)),
  )

/** One access and one refresh token of each way, none more; nobody was taken for a thief. */
async function expectBooks({ user, clientId }: Party) {
  const { db } = direct
  const live = await db
    .select({ type: tokens.type, n: sql<number>`count(*)::int` })
    .from(tokens)
    .where(and(eq(tokens.userId, user.id), isNull(tokens.revokedAt)))
    .groupBy(tokens.type)
  // That with which the family began is there, too.
  expect(Object.fromEntries(live.map(({ type, n }) => [type, n]))).toEqual({
    access: 4,
    refresh: 3,
  })
  expect(
    await db.$count(
      auditEvents,
      and(eq(auditEvents.type, 'SUSPICIOUS_ACTIVITY'), eq(auditEvents.clientId, clientId)),
    ),
  ).toBe(0)
}

describe('a frozen database', () => {
  it('that gets to requests long after their clients gave up uses up nothing of theirs', async () => {
    const party = await setUp()
    const { db } = direct
    const first = await db.transaction(async (tx) => {
      // All three get as far as the lock of their user.
      await tx.select().from(users).where(eq(users.id, party.user.id)).for('update')
      const sent = all.map(([, { go }]) => outcomeOf(go(db, party)))
      const waiting = sql<number>`(select count(*)::int from pg_stat_activity where wait_event_type = 'Lock')`
      const count = async () =>
        (await db.select({ waiting }).from(sql`(select) as moment`))[0]?.waiting
      await expect.poll(count, { timeout: 10_000 }).toBe(3)
      await server.freeze()
      await sleep(6000)
      await server.thaw()
      return sent
    })
    expect(await Promise.all(first)).toEqual(['outage', 'outage', 'outage'])
    for (const [name, { go, expected }] of all)
      expect([name, (await go(db, party)).result]).toEqual([name, expected])
    await expectBooks(party)
    expect((await redeem(db, party.code, party.clientId)).result).toBe('replayed')
  })
})

describe('a connection that is lost between commit and answer', () => {
  it('costs the client nothing: the next try is the first that anybody has heard of', async () => {
    const party = await setUp()
    const { db } = distant
    for (const [name, { go, expected }] of all) {
      network.loseAnswer()
      expect([name, await outcomeOf(go(db, party))]).toEqual([name, 'outage'])
      expect([name, (await go(db, party)).result]).toEqual([name, expected])
    }
    await expectBooks(party)
    expect((await redeem(db, party.code, party.clientId)).result).toBe('replayed')
  })

  it('is made up for before a client asks another replica', async () => {
    const party = await setUp()
    for (const [name, { go, expected }] of all) {
      network.loseAnswer()
      expect([name, await outcomeOf(go(distant.db, party))]).toEqual([name, 'outage'])
      const undone = () =>
        direct.db.$count(
          auditEvents,
          sql`${auditEvents.details} ->> 'reason' = 'answer_lost' and ${auditEvents.actorUserId} = ${party.user.id}`,
        )
      await expect
        .poll(undone, { timeout: 10_000 })
        .toBe(all.findIndex(([one]) => one === name) + 1)
      expect([name, (await go(direct.db, party)).result]).toEqual([name, expected])
    }
    await expectBooks(party)
  })

  it('leaves alone what a client has been handed meanwhile', async () => {
    const party = await setUp()
    network.loseAnswer()
    expect(await outcomeOf(refresh(distant.db, party))).toBe('outage')
    const retried = await refresh(direct.db, party)
    if (!('refreshToken' in retried)) throw new Error(retried.result)
    await sleep(1500)
    const next = { ...party, family: { ...party.family, refreshToken: retried.refreshToken } }
    expect((await refresh(direct.db, next)).result).toBe('success')
  })
})

describe('a request that fails for our reasons', () => {
  it('gives back the proofs that it has used, and no others', async () => {
    const { db } = direct
    const proof = () => ({
      kind: 'client_assertion' as const,
      owner: 'client',
      jti: crypto.randomUUID(),
      expiresAt: new Date(Date.now() + 60_000),
    })
    const [failed, answered, stolen] = [proof(), proof(), proof()]
    const use = (what: typeof failed, fails: boolean) =>
      withProofs(db, async () => {
        expect(await consumeProof(db, what)).toBe(true)
        return fails
      })
    await use(failed, true)
    await use(failed, false)
    expect(await consumeProof(db, failed)).toBe(false)
    await use(answered, false)
    expect(await consumeProof(db, answered)).toBe(false)
    // A replay that fails gives nobody a second use of what somebody else has used.
    await use(stolen, false)
    await withProofs(db, async () => {
      expect(await consumeProof(db, stolen)).toBe(false)
      return true
    })
    await sleep(1000)
    expect(await consumeProof(db, stolen)).toBe(false)
  })
})
