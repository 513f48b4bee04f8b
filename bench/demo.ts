/**
 * Starts the real server and lets a crowd use it over real HTTP, so that every series moves within a minute. In the end
 * the crowd has kept count of its own deeds, and the scrape must say the same.
 *
 *   npm run demo -- [--seconds 60] [--people 12]
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { endWithNpm } from '../src/boot/end-with-npm.ts'
import { createWorld, demoSettings, letThemLive, settleDown } from './demo/crowd.ts'
import { differences, printTable, scrape, startProgress } from './demo/report.ts'
import type { World } from './demo/world.ts'
import { freePort, type ServerProcess, startServer, stopServers } from './server-process.ts'

const residents = 4
const sameWithinMs = 6000

process.exitCode = await run()

async function run(): Promise<number> {
  const options = readOptions()
  if (!options) return 2
  endWithNpm(process.env)
  const heed = listenForSignals()
  say('Starting the server …')
  const server = await startServer({
    ...demoSettings,
    PORT: process.env['PORT'] ?? String(await freePort(8080)),
    OTEL_EXPORTER_PROMETHEUS_PORT:
      process.env['OTEL_EXPORTER_PROMETHEUS_PORT'] ?? String(await freePort(9464)),
  })
  try {
    return await show(server, options, heed)
  } catch (error) {
    say(`\n${error instanceof Error ? error.message : String(error)}\n${server.output()}`)
    return 1
  } finally {
    await server.stop()
  }
}

interface Options {
  /** 0 for no end. */
  readonly seconds: number
  readonly people: number
}

function readOptions(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        seconds: { type: 'string', default: '60' },
        people: { type: 'string', default: '12' },
      },
    })
    const [seconds, people] = [Number(values.seconds), Number(values.people)]
    if (Number.isInteger(seconds) && seconds >= 0 && Number.isInteger(people) && people >= 1)
      return { seconds, people }
    say('Give whole numbers: --seconds 0 or more (0: until Ctrl-C), --people 1 or more.')
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
  }
  return undefined
}

async function show(
  server: ServerProcess,
  { seconds, people }: Options,
  heed: (world: World) => void,
): Promise<number> {
  const { username, password } = server.credentials()
  say(`
  Metrics    ${server.metricsUrl}
  Sign in    ${server.origin}/login   as ${username} with ${password}

  ${people} people use it ${seconds === 0 ? 'until you press Ctrl-C' : `for ${seconds} seconds (Ctrl-C for sooner)`}.
`)
  const world = await createWorld(server)
  const stopTelling = startProgress(world)
  try {
    heed(world)
    if (seconds > 0) setTimeout(() => (world.timeIsUp = true), seconds * 1000).unref()
    await letThemLive(world, people)
    if (world.problems.length === 0) await settleDown(world, residents)
  } finally {
    stopTelling()
  }
  return await compare(world, { visited: seconds === 0 })
}

/** Ctrl-C ends the stories, a second one the server, a third one everything at once; before the stories there is one less. */
function listenForSignals(): (world: World) => void {
  const stopNow = (code: number) => void stopServers().finally(() => process.exit(code))
  let world: World | undefined
  let stopping = false
  process.on('SIGINT', () => {
    if (world && !world.stopping) {
      world.stopping = true
      say('\n  Finishing; what is open lapses in a few seconds. Ctrl-C again to stop now.')
    } else if (stopping) process.exit(130)
    else {
      stopping = true
      stopNow(130)
    }
  })
  process.once('SIGTERM', () => stopNow(143))
  return (begun) => {
    world = begun
  }
}

/**
 * Counters are exact at once, gauges as soon as their COUNT is newer than the last deed. `visited`: somebody may have
 * signed in to look around, so more than the demo did is no mistake.
 */
async function compare(world: World, { visited }: { visited: boolean }): Promise<number> {
  const { problems, deeds, server } = world
  if (problems.length > 0 || server.ended()) {
    say(
      `\nSomething unexpected happened:\n  ${problems.slice(0, 10).join('\n  ')}\n${server.output()}`,
    )
    return 1
  }
  const deadline = performance.now() + sameWithinMs
  let samples = await scrape(world)
  while (differences(world, samples).length > 0 && performance.now() < deadline) {
    await sleep(300)
    samples = await scrape(world)
  }
  printTable(world, samples)
  const wrong = differences(world, samples).filter(
    ({ scraped, done }) => !(visited && scraped !== undefined && scraped > done),
  )
  if (wrong.length === 0) {
    say(`  ${deeds.size} series compared with what the demo did: all agree.`)
    return 0
  }
  say(`  ${wrong.length} of ${deeds.size} series differ from what the demo did:`)
  for (const { series, done, scraped } of wrong)
    say(`    ${series}: did ${done}, scraped ${scraped ?? 'nothing'}`)
  say('  If you signed in yourself meanwhile, that is why; with --seconds 0 visitors are expected.')
  return 1
}

function say(text: string) {
  process.stdout.write(`${text}\n`)
}
