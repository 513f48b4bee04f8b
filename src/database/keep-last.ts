/** One value that is always at hand once it was loaded: what is loaded anew takes its place as soon as it is there. */
import { withinTimeOr } from '#/telemetry/within-time.ts'

export interface KeepLastOptions<T> {
  /** Asked at each reading, so it should remember what it has loaded. */
  readonly load: () => Promise<T>
  /** How long a value that is known to be outdated waits for its successor. */
  readonly waitMs: number
  /** Takes every value for outdated. */
  readonly alwaysAfresh: boolean
}

export interface KeepLast<T> {
  /** Rejects only as long as nothing was loaded. */
  get(): Promise<T>
  /** From now on readers wait for a load that begins after this. */
  outdate(): void
}

export function keepLast<T>({ load, waitMs, alwaysAfresh }: KeepLastOptions<T>): KeepLast<T> {
  let last: { readonly value: T; readonly version: number } | undefined
  let version = 0
  async function loadNow() {
    const begun = version
    const value = await load()
    if (last === undefined || begun >= last.version) last = { value, version: begun }
    return value
  }
  return {
    async get() {
      const loading = loadNow()
      if (!last) return loading
      const fallback = last
      const loaded = loading.catch(() => fallback.value)
      if (fallback.version === version && !alwaysAfresh) return fallback.value
      return withinTimeOr(loaded, waitMs, fallback.value)
    },
    outdate() {
      version += 1
    },
  }
}
