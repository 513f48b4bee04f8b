/** What a client was given, and its end. The caller holds the client's row, so nothing new is given meanwhile. */
import type { Database } from '#/database/client.ts'
import { discardAuthorizationCodes } from '#/domain/authorization-codes/authorization-codes.ts'
import { revokeConsentsOfClient } from '#/domain/consents/consents.ts'
import { denyDeviceCodesOfClient } from '#/domain/device-codes/device-codes.ts'
import { type RevokedTokens, revokeTokensOfClient } from '#/domain/tokens/revoke-tokens.ts'
import type { TokenRevocationReason } from '#/protocol/vocabulary.ts'

/** What ended, for the caller to record after the commit. */
export interface EndedOfClient {
  readonly tokens: RevokedTokens
  /** Device codes that were pending, or approved and not yet redeemed. */
  readonly deviceCodes: number
  /** Consents that were in force. */
  readonly consents: number
}

/** What ends when nothing does. */
export const nothingEnded: EndedOfClient = {
  tokens: { reason: 'client_inactive', access: 0, refresh: 0 },
  deviceCodes: 0,
  consents: 0,
}

/** Ends tokens, codes and device codes; what people have allowed stays. */
export async function endAccessOfClient(
  tx: Database,
  clientId: string,
  { reason, now }: { reason: TokenRevocationReason; now: Date },
): Promise<EndedOfClient> {
  const tokens = await revokeTokensOfClient(tx, clientId, { reason, now })
  const deviceCodes = await endCodesOfClient(tx, clientId, now)
  return { tokens, deviceCodes, consents: 0 }
}

/** The same, and what people have allowed ends, too. */
export async function endAllOfClient(
  tx: Database,
  clientId: string,
  end: { reason: TokenRevocationReason; now: Date },
): Promise<EndedOfClient> {
  const ended = await endAccessOfClient(tx, clientId, end)
  return { ...ended, consents: await revokeConsentsOfClient(tx, clientId, end.now) }
}

/** Ends what has not become tokens yet; answers how many device codes were open. */
export async function endCodesOfClient(tx: Database, clientId: string, now: Date): Promise<number> {
  await discardAuthorizationCodes(tx, { clientId })
  return denyDeviceCodesOfClient(tx, clientId, now)
}

/** How the audit log tells of it. */
export const countsOf = ({ tokens, deviceCodes, consents }: EndedOfClient) => ({
  access_ended: tokens.access,
  refresh_ended: tokens.refresh,
  device_codes_ended: deviceCodes,
  consents_ended: consents,
})
