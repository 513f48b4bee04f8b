import type { Database } from '#/database/client.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { AppContext } from '#/web/request/context.ts'
import { exemptFromCeiling } from './ceiling.ts'
import { countFaults, enforceCeiling } from './limit-failures.ts'
import { enforceLimit, type Limiter, type Limiters } from './rate-limit.ts'

export interface ClientLimits {
  readonly db: Database
  /** For failures of senders who have proven nothing: by address. */
  readonly addressLimiter: Limiter | undefined
  /** For all requests of such senders. */
  readonly ceiling: Limiter | undefined
  /** For authenticated clients: by client. */
  readonly clientLimiter: Limiter | undefined
}

export const clientLimits = (
  { db, limiters }: { readonly db: Database; readonly limiters: Limiters },
  name: 'token' | 'par' | 'revoke' | 'introspect',
): ClientLimits => ({
  db,
  addressLimiter: limiters[name],
  // Nobody introspects without a secret.
  ceiling: name === 'introspect' ? undefined : limiters[`${name}-ceiling`],
  clientLimiter: limiters[`${name}-client`],
})

interface Identified {
  readonly client: Client | undefined
  /** Where it is not the usual one that failures count against. */
  readonly addressLimiter?: Limiter | undefined
}

interface Steps<T extends Identified, R> {
  /** Says who sent the request. */
  readonly identify: () => Promise<T>
  readonly handle: (identified: T) => Promise<R>
}

/**
 * Handles a request of the back channel, counted against the limits of whoever sent it: a proven client by itself,
 * everybody else by address, where only failures count below the ceiling.
 */
export async function limitClients<T extends Identified, R>(
  c: AppContext,
  { db, addressLimiter, ceiling, clientLimiter }: ClientLimits,
  { identify, handle }: Steps<T, R>,
): Promise<R> {
  let failures = addressLimiter
  return countFaults(c, { db, failures: () => failures }, async () => {
    const identified = await identify()
    const { client } = identified
    if (client?.type === 'confidential') {
      failures = undefined
      exemptFromCeiling(c)
      await enforceLimit(c, db, clientLimiter, client.clientId)
    } else {
      failures = identified.addressLimiter ?? addressLimiter
      await enforceCeiling(c, { db, ceiling })
    }
    return handle(identified)
  })
}
