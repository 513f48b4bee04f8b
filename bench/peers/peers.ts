/**
 * AuthGate beside oidc-provider on one Postgres: the server at work has a core for itself, the load and Postgres have
 * the others, and the two servers are never at work at the same time.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { withDatabase } from '../bench/seed.ts'
import {
  median,
  microseconds,
  milliseconds,
  printTable,
  ratio,
  say,
  whole,
} from '../bench/table.ts'
import { type Measured, openConnection, runLoops } from './closed-loop.ts'
import { withPostgres } from './postgres.ts'
import { profiled } from './profiler.ts'
import { type Scenario, scenarios } from './scenarios.ts'
import { type StartOptions, type Subject, startAuthGate, startOidcProvider } from './subjects.ts'

export interface PeerOptions {
  /** Of load, for each scenario and server. */
  readonly seconds: number
  /** The scenarios whose names contain it. */
  readonly only: string
  /** A Postgres that is already there. */
  readonly database: string | undefined
  /** A directory for profiles of the processor. */
  readonly profiles: string | undefined
}

const connections = 32
const turns = 4
const warmUpSeconds = 2
const profileSeconds = 5
const taskset = 'taskset'

export async function benchPeers(options: PeerOptions): Promise<void> {
  const before = takeOtherCores()
  const { seconds, database, profiles } = options
  if (profiles !== undefined) mkdirSync(profiles, { recursive: true })
  say(
    `Beside oidc-provider: ${connections} connections, each waiting for its answers, ${seconds} s for each in ${turns} turns`,
  )
  const use = (url: string) =>
    withDatabase(url, (ours) =>
      withDatabase(url, async (theirs) => {
        const start = { connections, before, inspected: profiles !== undefined }
        await startBoth({ ...start, database: ours }, { ...start, database: theirs }, (subjects) =>
          compare(subjects, options),
        )
      }),
    )
  if (database === undefined) await withPostgres(use)
  else await use(database)
}

/** Leaves the first core to the servers; answers the command that starts one there. */
function takeOtherCores(): string[] {
  const cores = availableParallelism()
  if (process.platform !== 'linux' || cores < 2) {
    say('  (one core for all, or no taskset: the load takes time from the servers)')
    return []
  }
  execFileSync(taskset, ['-a', '-c', '-p', `1-${cores - 1}`, String(process.pid)])
  return [taskset, '-c', '0']
}

interface Pair<T> {
  readonly own: T
  readonly peer: T
}

async function startBoth(
  own: StartOptions,
  peer: StartOptions,
  use: (subjects: Pair<Subject>) => Promise<void>,
) {
  const authGate = await startAuthGate(own)
  try {
    const oidcProvider = await startOidcProvider(peer)
    try {
      await use({ own: authGate, peer: oidcProvider })
    } finally {
      await oidcProvider.stop()
    }
  } finally {
    await authGate.stop()
  }
}

async function compare(subjects: Pair<Subject>, { seconds, only, profiles }: PeerOptions) {
  const rows = []
  for (const scenario of scenarios.filter(({ name }) => name.includes(only))) {
    const own = await open(scenario, subjects.own)
    const peer = await open(scenario, subjects.peer)
    const measured = await takeTurns({ own: own.loop, peer: peer.loop }, seconds)
    if (profiles !== undefined) {
      await profile(scenario, subjects.own, own.loop, profiles)
      await profile(scenario, subjects.peer, peer.loop, profiles)
    }
    own.close()
    peer.close()
    rows.push(...rowsOf(scenario, subjects, measured))
  }
  printTable(
    [
      '',
      '',
      'per second',
      'p50',
      'p99',
      'processor each',
      'core in use',
      'the peer’s rate',
      'per core',
      'aim',
    ],
    rows,
  )
}

/** Apart from what is measured, which it would slow down. */
async function profile(scenario: Scenario, subject: Subject, loop: Loop, directory: string) {
  if (subject.inspectorPort === undefined) return
  const file = join(directory, `${scenario.name.split(/\W/)[0]}-${subject.name}.cpuprofile`)
  await profiled(subject.inspectorPort, file, () => loop(profileSeconds))
}

type Loop = (seconds: number) => Promise<Measured>

async function open(scenario: Scenario, subject: Subject) {
  const opened = Array.from({ length: connections }, () => openConnection(subject.origin))
  const steps = await Promise.all(
    opened.map(({ send }, n) => scenario.prepare(subject, send, n)),
  ).catch((error: unknown) => {
    throw new Error(`${scenario.name}, ${subject.name}: ${String(error)}\n${subject.output()}`)
  })
  const loop: Loop = (seconds) => runLoops(steps, { pid: subject.pid, seconds })
  return { loop, close: () => closeAll(opened) }
}

function closeAll(opened: readonly { close(): void }[]) {
  for (const { close } of opened) close()
}

/** Turn and turn about, so that whatever else this machine does falls on both. */
async function takeTurns({ own, peer }: Pair<Loop>, seconds: number) {
  await own(warmUpSeconds)
  await peer(warmUpSeconds)
  const taken: Pair<Measured>[] = []
  for (let turn = 0; turn < turns; turn += 1) {
    const first = turn % 2 === 0 ? undefined : await peer(seconds / turns)
    const ours = await own(seconds / turns)
    taken.push({ own: ours, peer: first ?? (await peer(seconds / turns)) })
  }
  return taken
}

function rowsOf(
  { name, aim }: Scenario,
  subjects: Pair<Subject>,
  taken: readonly Pair<Measured>[],
) {
  const middle = (who: keyof Pair<Measured>, what: keyof Measured) =>
    median(taken.map((turn) => turn[who][what]))
  const rate = median(taken.map(({ own, peer }) => own.perSecond / peer.perSecond))
  const perCore = median(taken.map(({ own, peer }) => peer.cpuMicroseconds / own.cpuMicroseconds))
  const columns = (who: keyof Pair<Measured>) => [
    subjects[who].name,
    whole(middle(who, 'perSecond')),
    milliseconds(middle(who, 'p50')),
    milliseconds(middle(who, 'p99')),
    microseconds(middle(who, 'cpuMicroseconds')),
    `${whole(middle(who, 'busy') * 100)} %`,
  ]
  return [
    [
      name,
      ...columns('own'),
      `${ratio(rate)} ×`,
      `${ratio(perCore)} ×`,
      aim === undefined ? '' : `${aim} ×`,
    ],
    ['', ...columns('peer'), '', '', ''],
  ]
}
