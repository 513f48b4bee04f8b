/** A link to a page of ours. */
export interface WayBack {
  readonly href: string
  readonly text: string
}

/** A refusal that a person reads: shown as a page, or as JSON to a program. The words are ours and safe to show. */
export class PageError extends Error {
  override readonly name = 'PageError'
  readonly status: 400 | 403 | 404 | 405 | 409 | 413 | 429 | 503
  readonly title: string
  /** Seconds after which to try again. */
  readonly retryAfter: number | undefined
  /** Where to go on; the start page otherwise. */
  readonly back: WayBack | undefined

  constructor(
    status: PageError['status'],
    title: string,
    message: string,
    options: { retryAfter?: number; back?: WayBack; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.status = status
    this.title = title
    this.retryAfter = options.retryAfter
    this.back = options.back
  }
}
