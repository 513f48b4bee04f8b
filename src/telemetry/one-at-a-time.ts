/**
 * Runs work one turn at a time. Who asks during a turn gets the next one, shared by all who asked meanwhile: its result
 * knows everything that had happened when it was asked for, and nobody ever waits for more than two turns.
 */
export function oneAtATime<T>(work: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | undefined
  let next: Promise<T> | undefined
  const start = () => {
    next = undefined
    current = work().finally(() => {
      current = undefined
    })
    return current
  }
  return () => {
    if (next !== undefined) return next
    if (current === undefined) return start()
    next = current.then(start, start)
    return next
  }
}
