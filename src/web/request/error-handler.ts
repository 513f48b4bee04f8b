/**
 * The only place where an error becomes an answer: JSON for programs, an answer to the client when its redirect URI was
 * proven, a page for people. Causes go to the log; what is sent was written to be read by strangers.
 */
import type { ErrorHandler, NotFoundHandler } from 'hono'
import { codeOf, isOutage } from '#/database/errors.ts'
import { TableFullError } from '#/domain/row-limits/row-limits.ts'
import { OverloadedError } from '#/domain/users/passwords.ts'
import {
  AuthorizationError,
  type OAuthEndpoint,
  OAuthError,
  oauthErrors,
} from '#/protocol/errors.ts'
import {
  sendToClient,
  showWayToClient,
} from '#/web/authorization-request/authorization-response.ts'
import { refusalChallenge } from '#/web/clients/access-token.ts'
import { renderErrorPage } from '#/web/pages/error-page.ts'
import { PageError, type WayBack } from '#/web/pages/page-error.ts'
import type { AppContext, AppEnv } from './context.ts'
import { noteOAuthError } from './note-refusal.ts'

/** `issuer` goes with every answer that is sent back to a client (RFC 9207). */
export function createErrorHandler({ issuer }: { issuer: string }): ErrorHandler<AppEnv> {
  return (error, c) => {
    // What a client has pushed itself is answered to itself (RFC 9126 §2.3).
    if (error instanceof AuthorizationError && isForPeople(c)) return sendError(c, error, issuer)
    if (error instanceof OAuthError) return answerOAuthError(c, error)
    if (error instanceof PageError) return answerPageError(c, error)
    if (error instanceof OverloadedError) {
      return answerPageError(
        c,
        new PageError(503, 'The server is busy', 'Please try again in a few seconds.', {
          retryAfter: 5,
          cause: error,
        }),
      )
    }
    if (error instanceof TableFullError) return answerFull(c, error)
    if (isBrokenOff(error))
      return answerPageError(
        c,
        new PageError(400, 'Incomplete request', 'The request ended before it was complete.'),
      )
    if (isOutage(error)) return answerOutage(c, error)
    return answerBug(c, error)
  }
}

/** Either an attack or a limit that is too low; an operator has to look at both. */
function answerFull(c: AppContext, { table }: TableFullError) {
  c.var.log.error({ table }, 'a table is full: a request was refused')
  c.var.recorder.rowRefused(table)
  return answerPageError(
    c,
    new PageError(503, 'Temporarily unavailable', 'Please try again in a minute.', {
      retryAfter: 60,
    }),
  )
}

/** A known outage was logged when it began. */
function answerOutage(c: AppContext, error: Error) {
  if (codeOf(error) !== 'DATABASE_DOWN')
    c.var.log.error({ err: error }, 'request refused: the database is unavailable')
  return answerPageError(
    c,
    new PageError(503, 'Temporarily unavailable', 'Please try again in a few seconds.', {
      retryAfter: 5,
    }),
  )
}

/** The body ended too early or cannot be read: Node's word for both, which must not pass for a lost database. */
const isBrokenOff = (error: Error) =>
  error.message === 'aborted' && 'code' in error && error.code === 'ECONNRESET'

export const notFound: NotFoundHandler<AppEnv> = (c) =>
  answerPageError(c, new PageError(404, 'Page not found', 'There is nothing at this address.'))

/** RFC 6749 §4.1.2.1. */
function sendError(c: AppContext, error: AuthorizationError, issuer: string) {
  note(c, error)
  const answer = { error: error.code, error_description: error.message, iss: issuer }
  return error.atOnce
    ? sendToClient(c, error.target, answer)
    : showWayToClient(c, error.target, answer)
}

function answerOAuthError(c: AppContext, error: OAuthError) {
  note(c, error)
  if (isForPeople(c)) {
    return page(c, error.status, 'This request cannot be completed', sentence(error.message))
  }
  challenge(c, error)
  return c.json({ error: error.code, error_description: error.message }, error.status)
}

/**
 * RFC 6750 §3: whoever shows an access token is told why it was refused, wherever one can be shown. Registration knows
 * tokens of other kinds, and says so itself.
 */
function challenge(c: AppContext, error: OAuthError) {
  const endpoint = endpointOf(c)
  const codes: readonly string[] = endpoint ? oauthErrors[endpoint] : []
  if (codes.includes('invalid_token') && endpoint !== '/oauth/register')
    c.header('www-authenticate', refusalChallenge(c.req.header('authorization'), error))
}

function answerPageError(c: AppContext, error: PageError) {
  if (error.retryAfter !== undefined) c.header('retry-after', String(error.retryAfter))
  if (isForPeople(c)) return page(c, error.status, error.title, error.message, error.back)
  const code = pageErrorCodes[error.status] ?? 'invalid_request'
  return c.json({ error: code, error_description: error.message }, error.status)
}

const pageErrorCodes: Partial<Record<PageError['status'], string>> = {
  404: 'not_found',
  429: 'rate_limit_exceeded',
  503: 'temporarily_unavailable',
}

function answerBug(c: AppContext, error: Error) {
  c.var.log.error({ err: error, route: c.req.path }, 'a request failed')
  const endpoint = endpointOf(c)
  if (endpoint) c.var.recorder.oauthError(endpoint, 'server_error')
  if (isForPeople(c)) {
    return page(
      c,
      500,
      'Something went wrong',
      'This is an error on our side. Please try again in a moment.',
    )
  }
  return c.json({ error: 'server_error', error_description: 'internal server error' }, 500)
}

function note(c: AppContext, error: OAuthError) {
  if (error.cause !== undefined)
    c.var.log.warn({ err: error.cause, error: error.code }, 'request refused')
  const endpoint = endpointOf(c)
  if (endpoint) c.var.recorder.oauthError(endpoint, error.code)
  noteOAuthError(c, endpoint, error)
}

/** The addresses of single registrations (RFC 7592) belong to the endpoint that gave them. */
function endpointOf(c: AppContext): OAuthEndpoint | undefined {
  const path = c.req.path.replace(/^(\/oauth\/register)\/[^/]+$/, '$1')
  return Object.hasOwn(oauthErrors, path) ? (path as OAuthEndpoint) : undefined
}

/**
 * The authorization endpoint is always met in a browser and the other protocol endpoints by programs, some of which
 * send a browser's Accept header by default (RFC 6749 §5.2 wants JSON); elsewhere that header decides.
 */
const isForPeople = (c: AppContext) => {
  const endpoint = endpointOf(c)
  if (endpoint) return endpoint === '/oauth/authorize'
  return (c.req.header('accept') ?? '').includes('text/html')
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

async function page(
  c: AppContext,
  status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 429 | 500 | 503,
  title: string,
  message: string,
  back?: WayBack,
) {
  const body = await renderErrorPage({ status, title, message, back, reference: c.var.traceId })
  return c.html(body, status)
}
