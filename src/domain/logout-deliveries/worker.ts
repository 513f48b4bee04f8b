import type { Database } from '#/database/client.ts'
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
export function startLogoutWorker(db: Database, options: DeliveryOptions): LogoutWorker {
  let stopped = false
  let again = false
  let running: Promise<void> | undefined
  async function run() {
    do {
      again = false
      while (!stopped && (await deliverDueLogouts(db, options).catch(() => 0)) > 0);
    } while (again && !stopped)
    running = undefined
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
