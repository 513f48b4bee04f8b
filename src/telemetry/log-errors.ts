/** What the log may know of an error. Database errors carry the values of the statement in message and stack. */

export interface DescribedError {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: DescribedError
}

const deepest = 4

/** Name, message, code, frames and causes of an error; never its other properties. */
export function describeError(error: unknown, depth = 1): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error' }
  const code = codeOf(error)
  return {
    type: error.name,
    message: withoutValues(error.message),
    ...(code !== undefined && { code }),
    stack: framesOf(error.stack),
    ...(error.cause instanceof Error &&
      depth < deepest && { cause: describeError(error.cause, depth + 1) }),
  }
}

/** A name or code that says what kind of error it was, safe for spans and labels of spans. */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return codeOf(error) ?? error.name
}

function codeOf(error: Error): string | undefined {
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[\w.:-]{1,64}$/.test(code) ? code : undefined
}

/** Drizzle writes the statement's parameters, hashes and all, behind this word. */
const withoutValues = (message: string) => message.split(/\n?params:/, 1)[0] ?? ''

/** The stack begins with the message, and so with its values; only its frames are kept. */
const framesOf = (stack = '') =>
  stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n')
