/**
 * Whether the database can be asked at all. Once an attempt has failed nobody else is let through but two probes, a
 * quick one and a patient one, so that everybody is refused at once and served again as soon as it is back.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { OutageError } from './errors.ts'

export interface Availability {
  isUp(): boolean
  /** Throws when it is known to be down. */
  require(): void
  /** Something failed which does not tell whether everything does: asks. */
  suspect(): void
  /** No host could be reached. */
  failed(error: unknown): void
  stop(): void
}

export interface AvailabilityOptions {
  /** Opens a connection of its own and asks something on it, within the bound. */
  readonly probe: (boundMs: number) => Promise<void>
  /** How long a slow server may take to accept a connection. */
  readonly patientMs: number
  /** Called once per change. */
  readonly onChange: (isUp: boolean, error: unknown) => void
}

/** Short enough that a lost packet costs less than a second. */
const quickMs = 700
/** A quick probe decides for all requests, so a busy server gets this long to answer it. */
const suspicionMs = 1000
const pauseMs = 250

export function createAvailability(options: AvailabilityOptions): Availability {
  const { probe, patientMs, onChange } = options
  let error: unknown
  let isUp = true
  let suspecting = false
  let stopped = false

  function failed(cause: unknown) {
    if (!isUp || stopped) return
    isUp = false
    error = cause
    onChange(false, cause)
    for (const boundMs of [quickMs, Math.max(quickMs, patientMs)]) void probeUntilUp(boundMs)
  }

  async function probeUntilUp(boundMs: number) {
    while (!isUp && !stopped) {
      const start = performance.now()
      if (await answers(boundMs)) return comeUp()
      await sleep(Math.max(0, pauseMs - (performance.now() - start)), undefined, { ref: false })
    }
  }

  async function answers(boundMs: number) {
    try {
      await probe(boundMs)
      return true
    } catch (cause) {
      error = cause
      return false
    }
  }

  function comeUp() {
    if (isUp || stopped) return
    isUp = true
    onChange(true, undefined)
  }

  async function ask() {
    suspecting = true
    const start = performance.now()
    let answered = await answers(suspicionMs)
    // The one that asks may itself be ended by what was suspected. Silence, though, says enough.
    if (!answered && performance.now() - start < suspicionMs / 2)
      answered = await answers(suspicionMs)
    if (!answered) failed(error)
    suspecting = false
  }

  return {
    isUp: () => isUp,
    require() {
      if (isUp) return
      throw new OutageError('DATABASE_DOWN', 'the database is known to be down', { cause: error })
    },
    suspect() {
      if (isUp && !suspecting && !stopped) void ask()
    },
    failed,
    stop() {
      stopped = true
    },
  }
}
