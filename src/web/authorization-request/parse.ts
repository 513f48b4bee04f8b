/**
 * Reading and checking an authorization request (RFC 6749 §4.1.1, OIDC Core §3.1.2.1), however it arrives: in a query,
 * in a form, or pushed by the client.
 */
import type { ReadCache } from '#/database/read-cache.ts'
import type { RequestedAuthorization } from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { AuthorizationError, OAuthError } from '#/protocol/errors.ts'
import { type CheckRules, checkRequest } from './checks.ts'
import { mustPush } from './oauth.ts'
import { type ObjectRules, openRequestObject } from './request-object.ts'
import { findTarget, readTarget, requireClient } from './target.ts'
import { isVouchedFor, type Vouching } from './vouched.ts'

export interface RequestRules extends ObjectRules, Vouching, CheckRules {
  readonly clients: ReadCache<Client>
}

export interface ParsedRequest {
  readonly client: Client
  readonly request: RequestedAuthorization
}

export interface ArrivedRequest {
  readonly parameters: URLSearchParams
  /** Whether the client itself has brought it (RFC 9126). */
  readonly pushed: boolean
  readonly now: Date
}

/**
 * Client and redirect URI come first: as long as they are not proven, every error is a page (RFC 9700 §4.11.2). After
 * that, errors go back to the client: an `AuthorizationError` says where to.
 */
export async function parseAuthorizationRequest(
  { parameters: outer, pushed, now }: ArrivedRequest,
  rules: RequestRules,
): Promise<ParsedRequest> {
  const client = await requireClient(outer, rules.clients) // RFC 6749 §4.1.1
  const atOnce = isVouchedFor(client, rules)
  const parameters = await backToClient({ parameters: outer, client, atOnce }, () => {
    if (!pushed) requireNoPush(client, rules) // RFC 9126 §5 and §6
    return openRequestObject(outer, client, { rules, now }) // RFC 9101 §6, OIDC Core §6
  })
  const target = readTarget(parameters, client) // RFC 6749 §3.1.2, RFC 9700 §2.1
  const checked = await backToClient({ parameters, client, atOnce }, () =>
    checkRequest(parameters, client, rules),
  )
  if (checked.codeChallenge === null) rules.recorder.requestedWithoutPkce('accepted')
  return { client, request: { ...target, ...checked } }
}

function requireNoPush(client: Client, rules: RequestRules) {
  if (mustPush(client, rules))
    throw new OAuthError('invalid_request', 'this client must push its authorization requests')
}

/** Errors of a step go to the redirect URI that stands in the parameters, if that is one of the client's. */
async function backToClient<T>(
  { parameters, client, atOnce }: { parameters: URLSearchParams; client: Client; atOnce: boolean },
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step()
  } catch (error) {
    const target = error instanceof OAuthError && findTarget(parameters, client)
    if (!target) throw error
    const { code, message, status, cause } = error
    throw new AuthorizationError(code, message, target, { status, cause, atOnce })
  }
}
