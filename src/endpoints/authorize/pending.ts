/** An authorization request under way, from wherever it is at the moment. */
import type { Database } from '#/database/client.ts'
import {
  type Answer,
  type AuthorizationRequest,
  findAnsweredRequest,
  findAuthorizationRequest,
  idOfRequestUri,
  type RequestedAuthorization,
  storeAuthorizationRequest,
  visitPushedRequest,
} from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { matchesRedirectUri } from '#/protocol/redirect-uri.ts'
import { isScopeWithin, scopeWords } from '#/protocol/scopes.ts'
import { parseAuthorizationRequest } from '#/web/authorization-request/parse.ts'
import { requireActive, requireClient } from '#/web/authorization-request/target.ts'
import type { AppContext } from '#/web/request/context.ts'
import type { AuthorizeOptions } from './options.ts'

export interface PendingRequest {
  readonly client: Client
  readonly request: RequestedAuthorization
  /** Undefined as long as it is in the address bar alone. */
  readonly stored: Stored | undefined
}

export type Stored = Pick<AuthorizationRequest, 'id' | 'createdAt'>

/** The request that came in a query or a form, with what it says or with a reference to what was pushed. */
export async function readRequest(
  c: AppContext,
  parameters: URLSearchParams,
  options: AuthorizeOptions,
): Promise<PendingRequest> {
  const id = idOfRequestUri(parameters.get('request_uri') ?? '')
  if (id !== undefined) return visit(c, id, { parameters, ...options })
  const arrived = { parameters, pushed: false, now: c.var.now }
  return { ...(await parseAuthorizationRequest(arrived, options)), stored: undefined }
}

/** RFC 9126 §4: all parameters beside request_uri are ignored but client_id, which must be that of the client that pushed. */
async function visit(
  c: AppContext,
  id: string,
  { db, clients, parameters }: AuthorizeOptions & { readonly parameters: URLSearchParams },
): Promise<PendingRequest> {
  const client = await requireClient(parameters, clients)
  const found = await visitPushedRequest(db, { id, clientId: client.clientId }, c.var.now)
  if (!found)
    throw new OAuthError(
      'invalid_request_uri',
      'the request_uri has expired or was used before; start again from the application',
    )
  if (found.isFirst) c.var.recorder.authorizationRequestPushed('visited')
  requireAllowed(client, found.request)
  return { client, request: found.request, stored: found.request }
}

/** The stored request of that id; with its answer, if this session has given one a moment ago. */
export async function findPending(
  c: AppContext,
  id: string,
  { db, clients }: AuthorizeOptions,
): Promise<PendingRequest & { stored: Stored; answer: Answer | undefined }> {
  const { now, signedIn } = c.var
  const waiting = await findAuthorizationRequest(db, id, now)
  const answered = waiting
    ? undefined
    : await findAnsweredRequest(db, { id, sessionId: signedIn?.session.id }, now)
  const stored = requireStored(waiting ?? answered)
  const client = await requireActive(stored.clientId, clients)
  requireAllowed(client, stored)
  return { client, request: stored, stored, answer: answered?.answer }
}

/** What waits was judged when it came, and is judged again by what its client may have now. */
function requireAllowed(
  { grantTypes, redirectUris, scope, allowedResources }: Client,
  request: RequestedAuthorization,
): void {
  const isAllowed =
    grantTypes.includes('authorization_code') &&
    matchesRedirectUri(request.redirectUri, redirectUris) &&
    isScopeWithin(scopeWords(request.scope), scope) &&
    request.resources.every((resource) => allowedResources.includes(resource))
  if (!isAllowed) throw new ChangedClient()
}

/** Shown on a page, since the redirect URI may no longer belong to the client. */
export class ChangedClient extends OAuthError {
  constructor() {
    super(
      'invalid_request',
      'the application has been changed since it sent you here; start again from the application',
    )
  }
}

/** Its id, under which its user comes back. */
export const keep = async (
  { stored, request }: PendingRequest,
  db: Database,
  now: Date,
): Promise<string> => stored?.id ?? storeAuthorizationRequest(db, request, now)

/** There is nothing to answer, or not any more. */
export class NothingToAnswer extends OAuthError {
  constructor() {
    super(
      'invalid_request',
      'this sign-in has expired or was already answered; start again from the application',
    )
  }
}

export function requireStored<T>(request: T | undefined): T {
  if (request === undefined) throw new NothingToAnswer()
  return request
}

/** Where the user comes back to; `more` says what the page is to say. */
export const pathOf = (id: string, more: Readonly<Record<string, string>> = {}): string =>
  `/oauth/authorize?${new URLSearchParams({ authorization_request: id, ...more })}`

/** The sign-in page, from where they come back; `more` says what it is to be like. */
export const loginPathOf = (id: string, more: Readonly<Record<string, string>> = {}): string =>
  `/login?${new URLSearchParams({ redirect: pathOf(id), ...more })}`
