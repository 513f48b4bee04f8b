/** One run: a crowd on two replicas, faults under it, and the books at the end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Books, find, lineOf, openBooks, wrongsOf } from './books.ts'
import {
  type Balance,
  balance,
  type Compared,
  compareCounters,
  compareGauges,
  findDoubled,
  findSecrets,
} from './checks.ts'
import { letThemLive, useEverything } from './crowd.ts'
import { createDice } from './dice.ts'
import { faults, makeTrouble } from './faults.ts'
import { setStage } from './stage.ts'
import { createTransport } from './transport.ts'
import { createWorld, type World } from './world.ts'

export interface TortureOptions {
  readonly seconds: number
  readonly seed: string
  readonly replicas: number
  readonly pooler: boolean
  readonly people: number
  readonly machines: number
  /** The faults to play; all when left out. */
  readonly only?: readonly string[]
  say(line: string): void
}

export interface Outcome {
  readonly books: Books
  readonly balances: readonly Balance[]
  readonly compared: readonly Compared[]
  readonly gauges: number
  readonly logLines: number
  readonly seconds: number
  /** Faults that this machine cannot play. */
  readonly notPlayed: readonly string[]
}

export async function torture(options: TortureOptions): Promise<Outcome> {
  const { seed, say } = options
  const books = openBooks()
  const dice = createDice(seed)
  say('Starting Postgres, Redis and the replicas …')
  const stage = await setStage(books, options)
  try {
    const ports = stage.replicas.map(({ port }) => port)
    const transport = createTransport(books, ports, dice.derive('network'))
    const world = await createWorld(
      { books, transport, dice },
      { databaseUrl: stage.ownDatabase, crowd: options.people },
    )
    const started = performance.now()
    await live(
      world,
      { ...stage, usernames: world.people.map(({ username }) => username) },
      options,
    )
    const seconds = (performance.now() - started) / 1000
    say('Checking the books …')
    return { ...(await check(world, stage)), books, seconds, notPlayed: notPlayed(stage, options) }
  } finally {
    await stage.strike()
  }
}

type Set = Awaited<ReturnType<typeof setStage>>

const notPlayed = ({ hasDisk, pooler }: Set, { only }: TortureOptions) =>
  Object.keys(faults).filter(
    (name) =>
      (name === 'disk full' && !hasDisk) ||
      (name === 'pooler stopped' && !pooler) ||
      only?.includes(name) === false,
  )

async function live(world: World, stage: Set & { usernames: string[] }, options: TortureOptions) {
  const { books } = world
  const dice = createDice(`${options.seed}/faults`)
  const end = performance.now() + options.seconds * 1000
  const crowd = letThemLive(
    world,
    Array.from({ length: options.machines }, (_, n) => dice.derive(`machine ${n}`)),
  )
  const names = options.only ?? Object.keys(faults)
  const trouble = makeTrouble(stage, { books, dice, names }, () => performance.now() > end)
  let told = 0
  const progress = setInterval(() => {
    options.say(progressOf(books))
    // A run that is broken off has told what it found.
    for (const finding of books.findings.slice(told)) options.say(lineOf(finding))
    told = books.findings.length
  }, 10_000)
  try {
    // Whichever breaks ends the run: the crowd never stops by itself.
    await Promise.race([Promise.all([trouble, sleep(options.seconds * 1000)]), crowd])
    await untilReady(world, stage)
    world.stopping = true
    await crowd
  } finally {
    world.stopping = true
    clearInterval(progress)
  }
}

const progressOf = (books: Books) => {
  const wrong = [...wrongsOf(books)].filter(([, times]) => times > 0)
  const faultsSoFar = [...books.faults.values()].reduce((sum, times) => sum + times, 0)
  return `  ${books.events} answers, ${faultsSoFar} faults; ${
    wrong.map(([name, times]) => `${times} ${name}`).join(', ') || 'nothing wrong'
  }`
}

/** Service has to be back soon after the last fault. */
async function untilReady({ books }: World, { replicas }: Set) {
  for (const deadline = performance.now() + 60_000; ; await sleep(100)) {
    const ready = await Promise.all(replicas.map((replica) => replica.ready()))
    if (ready.every(Boolean)) return
    if (performance.now() > deadline)
      return find(books, 'crashes', 'a replica is not ready 60 s after the last fault')
  }
}

async function check(world: World, { replicas, collector }: Set) {
  const { books } = world
  await Promise.all(replicas.map((replica) => replica.start()))
  await useEverything(world)
  // Two turns of the sweeper end what has lapsed.
  await sleep(5000)
  await findDoubled(world)
  const balances = await balance(world)
  const gauges = await compareGauges(world, replicas)
  await Promise.all(replicas.map((replica) => replica.stop()))
  const compared = await compareCounters(world, { lives: collector.lives, replicas })
  return { balances, gauges, compared, logLines: await findSecrets(books, replicas) }
}
