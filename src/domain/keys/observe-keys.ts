import type { Meter } from '@opentelemetry/api'
import { type SigningAlgorithm, signingAlgorithms } from '#/protocol/vocabulary.ts'
import { catalogue } from '#/telemetry/catalogue.ts'
import { createGauge } from '#/telemetry/instruments.ts'
import { withinTime } from '#/telemetry/within-time.ts'
import type { KeySet } from './keys.ts'
import type { KeySchedule } from './rotate-keys.ts'

export interface ObservedKeys {
  /** The same that sign: what they are asked here costs no query of its own. */
  readonly keys: () => Promise<KeySet>
  readonly schedule: KeySchedule
  readonly clock: () => Date
}

/** A scrape waits no longer; without an answer the gauges are absent. */
const maxWaitMs = 250

/** Gauges of how old the signing keys are, and what is to happen next. */
export function observeKeys(meter: Meter, { keys, schedule, clock }: ObservedKeys): void {
  const age = createGauge(meter, catalogue.signingKeyAge)
  const rotation = createGauge(meter, catalogue.signingKeyNextRotation)
  const publication = createGauge(meter, catalogue.signingKeyNextPublication)
  meter.addBatchObservableCallback(
    async (result) => {
      const known = await withinTime(keys(), maxWaitMs).catch(() => undefined)
      if (!known) return
      for (const algorithm of signingAlgorithms) {
        const times = timesOf(known, algorithm, { ...schedule, now: clock().getTime() })
        result.observe(age, times.age / 1000, { algorithm })
        result.observe(rotation, times.nextRotation / 1000, { algorithm })
        result.observe(publication, times.nextPublication / 1000, { algorithm })
      }
    },
    [age, rotation, publication],
  )
}

function timesOf(
  keys: KeySet,
  algorithm: SigningAlgorithm,
  { intervalMs, publishAheadMs, now }: KeySchedule & { readonly now: number },
) {
  const activation = keys.signing(algorithm).activatesAt.getTime()
  const coming = [...keys.byId.values()]
    .filter((key) => key.algorithm === algorithm && key.activatesAt.getTime() > now)
    .map(({ activatesAt }) => activatesAt.getTime())
  const newest = Math.max(activation, ...coming)
  return {
    age: Math.max(0, now - activation),
    nextRotation: (coming.length > 0 ? Math.min(...coming) : activation + intervalMs) - now,
    nextPublication: newest + intervalMs - publishAheadMs - now,
  }
}
