import type { Database } from '#/database/client.ts'
import {
  type AuthorizationRequest,
  findAuthorizationRequest,
} from '#/domain/authorization-requests/authorization-requests.ts'

/** The pending authorization request that this redirect path returns to, if there is one. */
export async function findWaitingRequest(
  db: Database,
  path: string,
  now: Date,
): Promise<AuthorizationRequest | undefined> {
  const { pathname, searchParams } = new URL(path, 'http://self.invalid')
  const id = searchParams.get('authorization_request')
  return pathname === '/oauth/authorize' && id !== null
    ? findAuthorizationRequest(db, id, now)
    : undefined
}
