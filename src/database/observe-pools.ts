import type { Meter } from '@opentelemetry/api'
import { catalogue } from '#/telemetry/catalogue.ts'
import { createGauge } from '#/telemetry/instruments.ts'
import type { PoolUse } from './instrument.ts'

/** How full the connection pools are, read from memory at each collection. */
export function observePools(meter: Meter, pools: readonly PoolUse[]): void {
  const most = createGauge(meter, catalogue.databaseConnectionsMax)
  const pending = createGauge(meter, catalogue.databasePendingRequests)
  meter.addBatchObservableCallback(
    (result) => {
      for (const { name, max, inFlight } of pools) {
        const pool = { 'db.client.connection.pool.name': name }
        result.observe(most, max, pool)
        result.observe(pending, Math.max(0, inFlight - max), pool)
      }
    },
    [most, pending],
  )
}
