/** What happens to servers. Each fault ends by itself, and whatever it broke runs again afterwards. */
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { type Postgres, type Service, terminateBackends } from '../../support/services.ts'
import { type Books, count } from './books.ts'
import type { Dice } from './dice.ts'
import type { Replica } from './replicas.ts'

export interface Stage {
  readonly database: Postgres
  /** The replicas' database, for an administrator. */
  readonly ownDatabase: string
  /** Whom the replicas connect as. */
  readonly role: string
  readonly pooler: Service | undefined
  readonly redis: Service
  readonly replicas: readonly Replica[]
  readonly hasDisk: boolean
  readonly usernames: readonly string[]
}

type Inject = (stage: Stage, dice: Dice) => Promise<void>

/** Those that touch the same thing wait for each other. */
interface Fault {
  readonly weight: number
  readonly touches: 'database' | 'redis' | 'replica'
  readonly inject: Inject
}

/** Mostly a moment; sometimes long enough for time-outs to pass. */
const outageMs = (dice: Dice) =>
  dice.chance(0.12) ? dice.between(6000, 14_000) : dice.between(200, 3000)

export const faults: Readonly<Record<string, Fault>> = {
  'backends terminated': {
    weight: 10,
    touches: 'database',
    inject: async ({ database, role }, dice) => {
      const some = dice.chance(0.5) ? 'true' : `wait_event_type = 'Lock' or random() < 0.3`
      await terminateBackends(database, `usename = '${role}' and (${some})`)
    },
  },
  "a user's row locked": {
    weight: 4,
    touches: 'database',
    inject: async ({ ownDatabase, usernames }, dice) => {
      const client = postgres(ownDatabase, { max: 1, onnotice: () => {} })
      try {
        await client.begin(async (tx) => {
          await tx`select 1 from users where username = ${dice.pick(usernames)} for update`
          await sleep(outageMs(dice))
        })
      } finally {
        await client.end({ timeout: 1 })
      }
    },
  },
  'database frozen': {
    weight: 4,
    touches: 'database',
    inject: ({ database }, dice) => freezeFor(database, outageMs(dice)),
  },
  'database stopped': {
    weight: 4,
    touches: 'database',
    inject: async ({ database }, dice) => {
      await database.stop(dice.pick(['SIGKILL', 'SIGQUIT', 'SIGINT'] as const))
      await sleep(outageMs(dice))
      await database.start()
    },
  },
  'connections exhausted': {
    weight: 2,
    touches: 'database',
    inject: async ({ database, role }, dice) => {
      await runSql(database.url, `alter role ${role} connection limit 2`)
      try {
        await terminateBackends(database, `usename = '${role}' and state = 'idle'`)
        await sleep(outageMs(dice))
      } finally {
        await runSql(database.url, `alter role ${role} connection limit -1`)
      }
    },
  },
  'disk full': {
    weight: 3,
    touches: 'database',
    inject: async ({ database }, dice) => {
      database.fillDisk()
      await sleep(outageMs(dice))
      database.freeDisk()
    },
  },
  'pooler stopped': {
    weight: 2,
    touches: 'database',
    inject: ({ pooler }, dice) => stopFor(pooler, dice.between(100, 2000)),
  },
  'Redis frozen': {
    weight: 3,
    touches: 'redis',
    inject: ({ redis }, dice) => freezeFor(redis, outageMs(dice)),
  },
  'Redis stopped': {
    weight: 3,
    touches: 'redis',
    inject: ({ redis }, dice) => stopFor(redis, outageMs(dice)),
  },
  'replica killed': {
    weight: 3,
    touches: 'replica',
    inject: ({ replicas }, dice) => dice.pick(replicas).kill(),
  },
  'replica replaced': {
    weight: 3,
    touches: 'replica',
    inject: ({ replicas }, dice) => dice.pick(replicas).replace(),
  },
}

async function freezeFor(service: Service, ms: number) {
  await service.freeze()
  try {
    await sleep(ms)
  } finally {
    await service.thaw()
  }
}

async function stopFor(service: Service | undefined, ms: number) {
  await service?.stop()
  await sleep(ms)
  await service?.start()
}

async function runSql(url: string, statement: string) {
  const client = postgres(url, { max: 1, onnotice: () => {} })
  try {
    await client.unsafe(statement)
  } finally {
    await client.end({ timeout: 1 })
  }
}

const enoughServed = 50

/** Three troublemakers, one for each thing that can be touched; each takes a rest after each fault. */
export async function makeTrouble(
  stage: Stage,
  { books, dice, names }: { books: Books; dice: Dice; names: readonly string[] },
  enough: () => boolean,
): Promise<void> {
  const chosen = Object.entries(faults).filter(
    ([name]) =>
      names.includes(name) &&
      (name !== 'disk full' || stage.hasDisk) &&
      (name !== 'pooler stopped' || stage.pooler !== undefined),
  )
  const troublemaker = async (touches: Fault['touches']) => {
    const own = chosen.filter(([, fault]) => fault.touches === touches)
    const throws = dice.derive(touches)
    while (own.length > 0 && !enough()) {
      await untilServed(books, throws.between(500, touches === 'database' ? 3500 : 9000))
      if (enough()) return
      const [name, fault] = throws.pick(own.flatMap((one) => Array(one[1].weight).fill(one)))
      await fault.inject(stage, throws).catch(unlessLost)
      count(books.faults, name)
    }
  }
  await Promise.all((['database', 'redis', 'replica'] as const).map(troublemaker))
}

/** The crowd has to get on between faults, however slow the machine; but those who serve nobody are not spared for ever. */
async function untilServed(books: Books, leastMs: number) {
  const before = books.served
  const deadline = performance.now() + 20_000
  await sleep(leastMs)
  while (books.served - before < enoughServed && performance.now() < deadline) await sleep(50)
}

/** An instrument of ours may lose its connection to another fault. */
function unlessLost(error: unknown) {
  const { code = '' } = error as { code?: string }
  if (!/^(CONNECT|ECONN|EPIPE|57P|08|53)/.test(code)) throw error
}
