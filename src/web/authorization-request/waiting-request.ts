import type { Database } from '#/database/client.ts'
import {
  type AuthorizationRequest,
  findAuthorizationRequest,
} from '#/domain/authorization-requests/authorization-requests.ts'

/** The authorization request that waits for a sign-in which leads to this path of ours, if one does. */
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
