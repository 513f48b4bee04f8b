/** POST /oauth/revoke (RFC 7009): a client has no more use for a token of its own. */
import { Hono } from 'hono'
import type { KeySet } from '#/domain/keys/keys.ts'
import { revokePresentedToken } from '#/domain/tokens/revoke-presented.ts'
import { OAuthError } from '#/protocol/errors.ts'
import {
  authenticateClient,
  type ClientAuthentication,
} from '#/web/clients/client-authentication.ts'
import { type ClientLimits, limitClients } from '#/web/limits/limit-clients.ts'
import { countFailure } from '#/web/limits/limit-failures.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { recordRevokedTokens } from '#/web/sessions/record-ended.ts'

export interface RevokeOptions extends ClientLimits {
  readonly issuer: string
  readonly authentication: ClientAuthentication
  readonly keys: () => Promise<KeySet>
}

export function revokeRoutes(options: RevokeOptions): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/oauth/revoke', (c) => postRevoke(c, options))
}

const postRevoke = (c: AppContext, options: RevokeOptions) =>
  limitClients(c, options, {
    identify: () => identify(c, options),
    handle: (request) => answer(c, options, request),
  })

async function answer(
  c: AppContext,
  options: RevokeOptions,
  { client, form }: Awaited<ReturnType<typeof identify>>,
) {
  const token = form.get('token')
  if (token === undefined) throw new OAuthError('invalid_request', 'token is missing')
  const { recorder, origin, now } = c.var
  const presented = { token, caller: client, issuer: options.issuer, now }
  const keys = await options.keys()
  const revocation = await revokePresentedToken(options.db, keys, { presented, origin })
  if (revocation.result === 'foreign') {
    // A request without client_id must authenticate as a confidential client.
    if (!client)
      await authenticateClient(c, { ...options.authentication, confidentialOnly: true }, form)
    // RFC 7009 §2.1: refused, and the client is told; RFC 6749 §5.2 has this for what belongs to another client.
    throw new OAuthError('invalid_grant', 'the token was issued to another client')
  }
  if (revocation.result === 'revoked') recordRevokedTokens(recorder, revocation.revoked)
  // An unauthenticated request without a token of ours counts as a failure, although the answer is 200.
  else if (client?.type !== 'confidential')
    await countFailure(c, { ...options, failures: options.addressLimiter })
  // RFC 7009 §2.2: also when there was nothing to end.
  return c.body(null, 200)
}

/** The command-line clients that are to work here name no client at all; those of RFC 7009 §2.1 do. */
async function identify(c: AppContext, { authentication }: RevokeOptions) {
  const form = await readForm(c)
  const names = ['client_id', 'client_secret', 'client_assertion', 'client_assertion_type']
  const isNamed =
    c.req.header('authorization') !== undefined || names.some((name) => form.has(name))
  const client = isNamed ? await authenticateClient(c, authentication, form) : undefined
  return { client, form }
}
