/** An authorization request under way, from wherever it is at the moment. */
import type { Database } from '#/database/client.ts'
import {
  type AuthorizationRequest,
  findAuthorizationRequest,
  type RequestedAuthorization,
  storeAuthorizationRequest,
} from '#/domain/authorization-requests/authorization-requests.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { parseAuthorizationRequest } from '#/web/authorization-request/parse.ts'
import { requireActive } from '#/web/authorization-request/target.ts'
import type { AppContext } from '#/web/context.ts'
import type { AuthorizeOptions } from './routes.ts'

export interface Pending {
  readonly client: Client
  readonly request: RequestedAuthorization
  /** Undefined as long as it is in the address bar alone. */
  readonly stored: Stored | undefined
}

type Stored = Pick<AuthorizationRequest, 'id' | 'createdAt'>

export async function readPending(c: AppContext, options: AuthorizeOptions): Promise<Pending> {
  const query = new URL(c.req.url).searchParams
  const id = query.get('authorization_request')
  if (id === null)
    return { ...(await parseAuthorizationRequest(query, options)), stored: undefined }
  return findPending(c, id, options)
}

/** The stored request of that id. */
export async function findPending(
  c: AppContext,
  id: string,
  { db, clients }: AuthorizeOptions,
): Promise<Pending & { stored: Stored }> {
  const stored = requireStored(await findAuthorizationRequest(db, id, c.var.now))
  return { client: await requireActive(stored.clientId, clients), request: stored, stored }
}

/** Its id, under which its user comes back. */
export const keep = async (
  { stored, request }: Pending,
  db: Database,
  now: Date,
): Promise<string> => stored?.id ?? storeAuthorizationRequest(db, request, now)

export function requireStored<T>(request: T | undefined): T {
  if (request === undefined) {
    throw new OAuthError(
      'invalid_request',
      'this sign-in has expired or was already answered; start again from the application',
    )
  }
  return request
}

/** Where the user comes back to. */
export const pathOf = (id: string): string =>
  `/oauth/authorize?${new URLSearchParams({ authorization_request: id })}`

/** The sign-in page, from where they come back; `more` says what it is to be like. */
export const loginPathOf = (id: string, more: Readonly<Record<string, string>> = {}): string =>
  `/login?${new URLSearchParams({ redirect: pathOf(id), ...more })}`
