/**
 * One value that is costly to compute, for readers that must neither fail nor wait long: the COUNTs behind the gauges.
 * The value's age counts from the start of its load, since that is the moment it tells the truth about.
 */
import { withinTime, withinTimeOr } from './within-time.ts'

export interface TtlCacheOptions<T> {
  /** How old a value may be; 0 loads afresh for each reader and never answers with an older value. */
  readonly ttlMs: number
  /** How long a reader waits for a load before it takes the last good value. */
  readonly maxWaitMs: number
  /** How old the last good value may be when a load is late or has failed. */
  readonly maxStaleMs: number
  /** When a load is given up: its signal is aborted and whatever it still answers is dropped. */
  readonly loadTimeoutMs: number
  /** How long a failed load keeps the next one away, at least. */
  readonly retryMs: number
  /** Calls `begin` when it has waited for something before its work: age and duration count from then on. */
  readonly load: Load<T>
  readonly onLoaded?: (seconds: number) => void
  readonly onError?: (error: unknown) => void
  readonly onLookup?: (outcome: TtlCacheLookup) => void
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number
}

type Load<T> = (signal: AbortSignal, begin: () => void) => Promise<T>

/** `error` comes besides the `miss` of the reader that began the load. */
type TtlCacheLookup = 'hit' | 'miss' | 'coalesced' | 'error'

export interface TtlCache<T> {
  /** Never rejects; undefined when there is nothing young enough to tell. */
  get(): Promise<{ readonly value: T; readonly ageSeconds: number } | undefined>
}

/** Loads may take at most this share of the time: the TTL grows with what they cost. */
const ttlPerLoadTime = 50

interface Loaded<T> {
  readonly value: T
  readonly startedAt: number
}

interface State<T> {
  good: Loaded<T> | undefined
  /** Of the last load that succeeded. */
  durationMs: number
  /** Failed loads since the last that succeeded. */
  failures: number
  pausedUntil: number
  underway: Promise<Loaded<T> | undefined> | undefined
  /** With a TTL of 0: the load that follows the one under way. */
  next: Promise<Loaded<T> | undefined> | undefined
}

/** Makes an empty cache; the first reader loads. */
export function createTtlCache<T>(options: TtlCacheOptions<T>): TtlCache<T> {
  const { ttlMs, now = () => performance.now() } = options
  const state: State<T> = {
    good: undefined,
    durationMs: 0,
    failures: 0,
    pausedUntil: Number.NEGATIVE_INFINITY,
    underway: undefined,
    next: undefined,
  }
  const read = ttlMs === 0 ? readAfresh : readCached
  return {
    async get() {
      const found = await read(state, options, now)
      return found && { value: found.value, ageSeconds: (now() - found.startedAt) / 1000 }
    },
  }
}

async function readCached<T>(state: State<T>, options: TtlCacheOptions<T>, now: () => number) {
  const { ttlMs, maxWaitMs, maxStaleMs, onLookup } = options
  const youngerThan = (ms: number) =>
    state.good && now() - state.good.startedAt < ms ? state.good : undefined
  const fresh = youngerThan(Math.max(ttlMs, ttlPerLoadTime * state.durationMs))
  if (fresh) {
    onLookup?.('hit')
    return fresh
  }
  if (state.underway !== undefined) onLookup?.('coalesced')
  else if (now() < state.pausedUntil) onLookup?.(youngerThan(maxStaleMs) ? 'hit' : 'miss')
  else {
    onLookup?.('miss')
    void startLoad(state, options, now)
  }
  if (state.underway !== undefined) await withinTimeOr(state.underway, maxWaitMs, undefined)
  return youngerThan(maxStaleMs)
}

/** A load that began before the question may not know what happened in between, so the one after it is waited for. */
async function readAfresh<T>(state: State<T>, options: TtlCacheOptions<T>, now: () => number) {
  const { loadTimeoutMs, onLookup } = options
  if (state.next !== undefined) {
    onLookup?.('coalesced')
    return withinTimeOr(state.next, loadTimeoutMs, undefined)
  }
  onLookup?.('miss')
  const start = async () => (now() < state.pausedUntil ? undefined : startLoad(state, options, now))
  if (state.underway === undefined) return withinTimeOr(start(), loadTimeoutMs, undefined)
  const next = state.underway.then(() => {
    state.next = undefined
    return start()
  })
  state.next = next
  return withinTimeOr(next, loadTimeoutMs, undefined)
}

function startLoad<T>(state: State<T>, options: TtlCacheOptions<T>, now: () => number) {
  const load = runLoad(state, options, now).finally(() => {
    state.underway = undefined
  })
  state.underway = load
  return load
}

async function runLoad<T>(
  state: State<T>,
  options: TtlCacheOptions<T>,
  now: () => number,
): Promise<Loaded<T> | undefined> {
  const { load, loadTimeoutMs, retryMs, onLoaded, onError, onLookup } = options
  let startedAt = now()
  const begin = () => {
    startedAt = now()
  }
  try {
    const value = await loadInTime((signal) => load(signal, begin), loadTimeoutMs)
    state.good = { value, startedAt }
    state.durationMs = now() - startedAt
    state.failures = 0
    onLoaded?.(state.durationMs / 1000)
    return state.good
  } catch (error) {
    state.failures += 1
    state.pausedUntil = now() + pauseMs(now() - startedAt, state.failures, retryMs)
    onError?.(error)
    onLookup?.('error')
    return undefined
  }
}

/**
 * `retryMs` after a failure; when failures take long and go on, doubling up to the pause at which even they cost no more
 * than their share.
 */
const pauseMs = (durationMs: number, failures: number, retryMs: number) =>
  Math.max(retryMs, Math.min(ttlPerLoadTime * durationMs, retryMs * 2 ** (failures - 1)))

async function loadInTime<T>(load: (signal: AbortSignal) => Promise<T>, ms: number): Promise<T> {
  const controller = new AbortController()
  try {
    return await withinTime(Promise.try(load, controller.signal), ms)
  } catch (error) {
    controller.abort(error)
    throw error
  }
}
