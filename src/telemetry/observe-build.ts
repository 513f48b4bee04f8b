/** `authgate_build_info`: the running build, to correlate changes of metrics with changes of the code. */
import type { Meter } from '@opentelemetry/api'
import { catalogue } from './catalogue.ts'
import { createGauge } from './instruments.ts'

/** Observes 1 under the build's version and commit. */
export function observeBuild(
  meter: Meter,
  { version, commit }: { version: string; commit: string },
): void {
  createGauge(meter, catalogue.buildInfo).addCallback((result) =>
    result.observe(1, { version, commit }),
  )
}
