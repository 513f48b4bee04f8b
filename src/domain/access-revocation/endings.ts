/**
 * What ends with what, for everything that takes access away. These tables are the only place that says so; the verbs of
 * this room lock the user or client first, and then end all of a row in the same transaction, so that neither a request
 * nor a gauge sees one without the other.
 *
 * What ends with a session is beside its end (`end-sessions.ts`). Not in the tables: authorization requests that wait for
 * their user belong to nobody yet, and are judged again by the client's row when they are answered
 * (`issueAuthorizationCode`). A stolen code or refresh token ends its family, a token that is revoked what was exchanged for
 * it (`tokens/revoke-tokens.ts`). An identity that is unlinked ends the sessions that it has begun (`identities/`).
 */
import type { Database } from '#/database/client.ts'
import type { Client } from '#/database/schema/clients.ts'
import { discardAuthorizationCodes } from '#/domain/authorization-codes/authorization-codes.ts'
import { revokeConsentsOfClient, revokeConsentsOfUser } from '#/domain/consents/consents.ts'
import {
  denyDeviceCodesOfClient,
  discardApprovedDeviceCodes,
} from '#/domain/device-codes/device-codes.ts'
import {
  noTokens,
  type RevokedTokens,
  revokeTokensBeyond,
  revokeTokensOfClient,
  revokeTokensOfConsent,
  revokeTokensOfUser,
} from '#/domain/tokens/revoke-tokens.ts'
import { scopeWords } from '#/protocol/scopes.ts'
import type { SessionEndReason, TokenRevocationReason } from '#/protocol/vocabulary.ts'
import { type EndedSession, endSessionsOfUser } from './end-sessions.ts'

/**
 * A user loses access; why what ends does. Tokens, authorization codes and approved device codes end every time: all of
 * them or, where a consent is withdrawn, those of its client.
 */
const userEndings = {
  disabled: { tokens: 'account_inactive', sessions: 'account_inactive', consents: false },
  deleted: { tokens: 'account_inactive', sessions: 'account_inactive', consents: true },
  /** The session in which the user did it goes on under another id. */
  password_changed: { tokens: 'password_changed', sessions: 'password_changed', consents: false },
  apps_disconnected: { tokens: 'user_request', sessions: undefined, consents: false },
  /** The consent itself has ended already. */
  consent_withdrawn: { tokens: 'consent_revoked', sessions: undefined, consents: false },
} as const satisfies Record<
  string,
  {
    tokens: TokenRevocationReason
    sessions: SessionEndReason | undefined
    consents: boolean
  }
>

/** A client loses access. `beyond` are the tokens that go beyond what it may have now; device codes end approved or not. */
const clientEndings = {
  /** Also when it has to be approved again. What people have allowed stays for when it is active again. */
  disabled: { tokens: 'all', codes: true, deviceCodes: true, consents: false },
  deleted: { tokens: 'all', codes: true, deviceCodes: true, consents: true },
  revoked: { tokens: 'all', codes: true, deviceCodes: true, consents: true },
  /** Fewer scopes, resources or grant types. */
  narrowed: { tokens: 'beyond', codes: true, deviceCodes: true, consents: false },
  redirect_uri_removed: { tokens: 'none', codes: true, deviceCodes: false, consents: false },
  /** Whoever holds the old secret is refused from then on: see `clients/client-version.ts`. */
  secret_replaced: { tokens: 'none', codes: false, deviceCodes: false, consents: false },
  changed: { tokens: 'none', codes: false, deviceCodes: false, consents: false },
} as const satisfies Record<
  string,
  { tokens: 'all' | 'beyond' | 'none'; codes: boolean; deviceCodes: boolean; consents: boolean }
>

export type UserEnding = keyof typeof userEndings
export type ClientEnding = keyof typeof clientEndings

/** What ended, for the caller to record after the commit. */
export interface EndedAccess {
  readonly tokens: RevokedTokens
  /** Device codes that were approved and not yet redeemed; of a client, also those that were pending. */
  readonly deviceCodes: number
  /** Consents that were in force. */
  readonly consents: number
}

interface OfUser {
  readonly userId: string
  /** Only what this client was given. */
  readonly clientId?: string
  readonly now: Date
  /** The session that goes on. */
  readonly except?: string | undefined
}

/** Ends what a locked user loses. */
export async function endOfUser(
  tx: Database,
  ending: UserEnding,
  { userId, clientId, now, except }: OfUser,
): Promise<EndedAccess & { readonly sessions: readonly EndedSession[] }> {
  const row = userEndings[ending]
  const which = clientId === undefined ? { userId } : { userId, clientId }
  const end = { reason: row.tokens, now }
  const sessions = row.sessions
    ? await endSessionsOfUser(tx, userId, { reason: row.sessions, now, except })
    : []
  const tokens =
    clientId === undefined
      ? await revokeTokensOfUser(tx, userId, end)
      : await revokeTokensOfConsent(tx, { userId, clientId }, end)
  await discardAuthorizationCodes(tx, which)
  return {
    sessions,
    tokens,
    deviceCodes: await discardApprovedDeviceCodes(tx, which, now),
    consents: row.consents ? await revokeConsentsOfUser(tx, userId, now) : 0,
  }
}

interface End {
  readonly reason: TokenRevocationReason
  readonly now: Date
}

/** Ends what a locked client loses; nothing new is given meanwhile. */
export async function endOfClient(
  tx: Database,
  ending: ClientEnding,
  client: Pick<Client, 'clientId' | 'scope' | 'grantTypes' | 'allowedResources'>,
  end: End,
): Promise<EndedAccess> {
  const row = clientEndings[ending]
  const { clientId } = client
  const tokens = await endTokensOfClient(tx, row.tokens, client, end)
  if (row.codes) await discardAuthorizationCodes(tx, { clientId })
  return {
    tokens,
    deviceCodes: row.deviceCodes ? await denyDeviceCodesOfClient(tx, clientId, end.now) : 0,
    consents: row.consents ? await revokeConsentsOfClient(tx, clientId, end.now) : 0,
  }
}

async function endTokensOfClient(
  tx: Database,
  which: (typeof clientEndings)[ClientEnding]['tokens'],
  client: Parameters<typeof endOfClient>[2],
  end: End,
): Promise<RevokedTokens> {
  const { clientId, scope, grantTypes, allowedResources: resources } = client
  if (which === 'none') return noTokens(end.reason)
  if (which === 'all') return revokeTokensOfClient(tx, clientId, end)
  const mayRefresh = grantTypes.includes('refresh_token')
  return revokeTokensBeyond(tx, { clientId, scope: scopeWords(scope), resources, mayRefresh }, end)
}

/** How the audit log tells of it. */
export const countsOf = ({ tokens, deviceCodes, consents }: EndedAccess) => ({
  access_ended: tokens.access,
  refresh_ended: tokens.refresh,
  device_codes_ended: deviceCodes,
  consents_ended: consents,
})
