import type { Database } from '#/database/client.ts'
import type { Client } from '#/domain/clients/clients.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { networkOf } from './client-address.ts'
import type { AppContext } from './context.ts'
import { enforceLimit, type Limiter } from './rate-limit.ts'

export interface ClientLimits {
  readonly db: Database
  /** For requests whose sender has proven nothing: by address. */
  readonly addressLimiter: Limiter | undefined
  /** For authenticated clients: by client. */
  readonly clientLimiter: Limiter | undefined
}

interface Identified {
  readonly client: Client | undefined
  /** Where it is not the usual one that a request without proof counts against. */
  readonly addressLimiter?: Limiter | undefined
}

/**
 * Counts a request of the back channel against the limit of whoever `identify` says sent it. Only a proven client
 * escapes the limit of its address; every failure to be one counts against it.
 */
export async function limitClients<T extends Identified>(
  c: AppContext,
  { db, addressLimiter, clientLimiter }: ClientLimits,
  identify: () => Promise<T>,
): Promise<T> {
  const limitAddress = (limiter = addressLimiter) =>
    enforceLimit(c, db, limiter, networkOf(c.var.address))
  try {
    const identified = await identify()
    const { client } = identified
    if (client?.type === 'confidential') await enforceLimit(c, db, clientLimiter, client.clientId)
    else await limitAddress(identified.addressLimiter)
    return identified
  } catch (error) {
    if (error instanceof OAuthError) await limitAddress()
    throw error
  }
}
