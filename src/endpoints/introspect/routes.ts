/** POST /oauth/introspect (RFC 7662): whether a token is live, and what it is, for clients that have a part in it. */
import { Hono } from 'hono'
import type { KeySet } from '#/domain/keys/keys.ts'
import { describeToken, introspectToken, signIntrospection } from '#/domain/tokens/introspect.ts'
import { OAuthError } from '#/protocol/errors.ts'
import {
  authenticateClient,
  type ClientAuthentication,
} from '#/web/clients/client-authentication.ts'
import { type ClientLimits, limitClients } from '#/web/limits/limit-clients.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { noteRefusal } from '#/web/request/note-refusal.ts'

export interface IntrospectOptions extends ClientLimits {
  readonly issuer: string
  readonly authentication: ClientAuthentication
  readonly keys: () => Promise<KeySet>
  readonly requireOwnership: boolean
}

export function introspectRoutes(options: IntrospectOptions): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/oauth/introspect', (c) => postIntrospect(c, options))
}

const postIntrospect = (c: AppContext, options: IntrospectOptions) =>
  limitClients(c, options, {
    identify: () => identify(c, options),
    handle: (request) => answer(c, options, request),
  })

async function answer(
  c: AppContext,
  options: IntrospectOptions,
  { client, form }: Awaited<ReturnType<typeof identify>>,
) {
  const token = form.get('token')
  if (token === undefined) throw new OAuthError('invalid_request', 'token is missing')
  const { issuer, requireOwnership } = options
  const keys = await options.keys()
  const asked = { token, caller: client, requireOwnership, issuer, now: c.var.now }
  const introspection = await introspectToken(options.db, keys, asked)
  c.var.recorder.tokenIntrospected(introspection.result)
  if (introspection.result === 'not_entitled')
    noteRefusal(c.var, 'introspection', { clientId: client.clientId })
  // RFC 7662 §2.2: an inactive token is reported without the reason.
  const described =
    introspection.result === 'active'
      ? describeToken(introspection.live, keys, issuer)
      : { active: false }
  if (!wantsJwt(c)) return c.json(described)
  const jwt = await signIntrospection(keys, described, asked)
  return c.body(jwt, 200, { 'content-type': signedType })
}

/** RFC 7662 §2.1: who asks must be known, so naming oneself is not enough. */
async function identify(c: AppContext, { authentication }: IntrospectOptions) {
  const form = await readForm(c)
  const client = await authenticateClient(c, { ...authentication, confidentialOnly: true }, form)
  return { client, form }
}

/** RFC 9701 §4. */
const signedType = 'application/token-introspection+jwt'

const wantsJwt = (c: AppContext): boolean =>
  (c.req.header('accept') ?? '')
    .toLowerCase()
    .split(',')
    .some((range) => range.split(';')[0]?.trim() === signedType)
