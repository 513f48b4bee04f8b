/** Promises that are waited for no longer than a while; the one place that races them with a timer. */

/** What the promise answers in time, or the other value; rejects as it does. */
export async function withinTimeOr<T, U>(promise: Promise<T>, ms: number, late: U): Promise<T | U> {
  const { promise: timeout, resolve } = Promise.withResolvers<U>()
  const timer = setTimeout(resolve, ms, late)
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}

const isLate = Symbol('late')

/** What the promise answers in time; rejects when it is late, whatever it still answers then. */
export async function withinTime<T>(promise: Promise<T>, ms: number): Promise<T> {
  const answer = await withinTimeOr(promise, ms, isLate)
  if (answer === isLate) throw new Error(`no answer within ${ms} ms`)
  return answer as T
}
