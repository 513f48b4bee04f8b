import type { Database } from '#/database/client.ts'
import type { Log } from '#/telemetry/log.ts'
import { logChanges } from '#/telemetry/log-changes.ts'
import { type DeliveryOptions, deliverDueLogouts } from './deliver.ts'

export interface LogoutWorker {
  /** Something may be due now. */
  wake(): void
  /** Stops, and waits for what is on its way. */
  stop(): Promise<void>
}

/** How often retries that have become due are looked for. */
const everyMs = 5000

/** Delivers at once when woken, and looks for retries in between. A database that fails is asked again later. */
export function startLogoutWorker(
  db: Database,
  { log, ...options }: DeliveryOptions & { readonly log: Log },
): LogoutWorker {
  const watch = logChanges(log, 'delivering logout tokens')
  let stopped = false
  let again = false
  let running: Promise<void> | undefined
  async function run() {
    do {
      again = false
      while (!stopped && (await deliverDue()) > 0);
    } while (again && !stopped)
    running = undefined
  }
  async function deliverDue() {
    try {
      const tried = await deliverDueLogouts(db, options)
      watch.worked()
      return tried
    } catch (error) {
      watch.failed(error)
      return 0
    }
  }
  const wake = () => {
    again = true
    if (!stopped) running ??= run()
  }
  const timer = setInterval(wake, everyMs)
  return {
    wake,
    async stop() {
      stopped = true
      clearInterval(timer)
      await running
    },
  }
}
