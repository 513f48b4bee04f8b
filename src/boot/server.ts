/** Starts everything in the order of its dependencies, and stops it in the reverse one. */
import { createApp } from '#/app.ts'
import type { Config } from '#/config/config.ts'
import { createLog } from '#/telemetry/log.ts'
import { startBackground } from './background.ts'
import { printBanner } from './banner.ts'
import { readBuildInfo } from './build-info.ts'
import { createDrain } from './drain.ts'
import { listen } from './listen.ts'
import type { Stoppable } from './process.ts'
import { noteWrongTokens } from './repeated-events.ts'
import { openResources, type Resources, type Surroundings } from './resources.ts'
import { startTelemetry } from './telemetry.ts'

const clock = () => new Date()

export async function startServer(config: Config, secrets: readonly string[]): Promise<Stoppable> {
  const build = readBuildInfo(config.telemetry.commit)
  const log = createLog({ level: config.telemetry.log.level })
  const telemetry = startTelemetry(config.telemetry, build, log)
  const surroundings = { config, secrets, telemetry, log, clock }
  const resources = await openResources(surroundings)
  const serving = await serve(surroundings, resources)
  const { first, database } = resources
  printBanner({ config, build, first, embedded: database.embedded })
  log.info({ ...build, address: `${config.server.host}:${config.server.port}` }, 'started')
  return {
    reportUncaught(kind, error) {
      telemetry.recorder.uncaughtError(kind)
      log.error({ err: error, kind }, 'uncaught error')
    },
    ...serving,
  }
}

/** Opens the ports and begins the work in the background; the answer ends it all. */
async function serve(
  { config, secrets, telemetry, log, clock }: Surroundings,
  resources: Resources,
) {
  const { database, caches, redis, repeatedEvents } = resources
  const { recorder } = telemetry
  const common = { config, recorder, log, clock }
  let draining = false
  const app = createApp({
    ...common,
    ...resources,
    ...caches,
    secrets,
    db: database.db,
    ready: database.ready,
    draining: () => draining,
  })
  const listener = await listen(app.fetch, { ...config.server, log, recorder })
  const scrape = await telemetry.listen(
    noteWrongTokens({ recorder, log, clock, repeatedEvents, auditing: config.audit.enabled }),
  )
  const stopBackground = await startBackground(database, { ...common, ...resources })
  return createDrain({
    ...config.server.shutdown,
    begin() {
      draining = true
    },
    ends: (timeoutMs) => [listener.close(timeoutMs), ...stopBackground()],
    scrape,
    repeatedEvents,
    telemetry,
    redis,
    database,
    log,
  })
}
