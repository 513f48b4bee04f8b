/**
 * POST /oauth/token (RFC 6749 §3.2). The endpoint authenticates the client, counts it against its limit, reads the
 * parameters and answers errors, so that no grant can forget any of it.
 */
import { Hono } from 'hono'
import type { Client } from '#/domain/clients/clients.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { type LifetimePolicy, lifetimesOf } from '#/domain/tokens/lifetimes.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import { parseResources } from '#/protocol/resources.ts'
import {
  authenticateClient,
  type ClientAuthentication,
} from '#/web/clients/client-authentication.ts'
import { consumeDpopProof, type DpopOptions, readDpopProof } from '#/web/clients/dpop.ts'
import { type ClientLimits, limitClients } from '#/web/limits/limit-clients.ts'
import type { Limiter } from '#/web/limits/rate-limit.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { readFields, uniqueParameters } from '#/web/request/forms.ts'
import { type ExtraClaimsPolicy, readExtraClaims } from './extra-claims.ts'
import type { Grant } from './grant.ts'
import { authorizationCode } from './grants/authorization-code.ts'
import { clientCredentials } from './grants/client-credentials.ts'
import { deviceCode } from './grants/device-code.ts'
import { refreshToken } from './grants/refresh-token.ts'
import { tokenExchange } from './grants/token-exchange.ts'

export interface TokenOptions extends ClientLimits {
  readonly issuer: string
  readonly authentication: ClientAuthentication
  readonly dpop: DpopOptions
  readonly keys: () => Promise<KeySet>
  readonly lifetimes: LifetimePolicy
  readonly extraClaims: ExtraClaimsPolicy
  readonly clientTokenMs: number
  readonly refreshTokens: boolean
  readonly rotation: boolean
  readonly endsWithSession: boolean
  readonly secrets: readonly string[]
  /** For polls of public clients' devices that fail: by address, which several of them may share. */
  readonly pollLimiter: Limiter | undefined
}

const grants = new Map<string, Grant>(
  [authorizationCode, refreshToken, clientCredentials, deviceCode, tokenExchange].map((grant) => [
    grant.grantType,
    grant,
  ]),
)

export function tokenRoutes(options: TokenOptions): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/oauth/token', (c) => postToken(c, options))
}

const postToken = (c: AppContext, options: TokenOptions) =>
  limitClients(c, options, {
    identify: () => identify(c, options),
    handle: (request) => answer(c, options, request),
  })

async function answer(
  c: AppContext,
  options: TokenOptions,
  { fields, form, client, proof }: Awaited<ReturnType<typeof identify>>,
) {
  const grant = requireGrant(form, client)
  c.set('grantType', grant.grantType)
  const parsed = grant.parameters.safeParse(Object.fromEntries(form))
  if (!parsed.success) {
    throw new OAuthError(
      'invalid_request',
      `${String(parsed.error.issues[0]?.path[0])} is missing or malformed`,
    )
  }
  const { recorder, origin, now } = c.var
  const context = {
    ...options,
    keys: await options.keys(),
    client,
    recorder,
    origin,
    now,
    lifetimes: lifetimesOf(client.tokenProfile, options.lifetimes),
    refreshTokens: options.refreshTokens && client.grantTypes.includes('refresh_token'),
    resources: parseResources(fields.getAll('resource')),
    audiences: fields.getAll('audience').filter((audience) => audience !== ''),
    dpopJkt: proof?.jkt ?? null,
    extraClaims: readExtraClaims(form.get('extra_claims'), client, options.extraClaims),
  }
  if (proof) await consumeDpopProof(c, options.db, { proof, status: 400 })
  const response = await grant.issue(context, parsed.data)
  // RFC 6749 §5.1.
  c.header('pragma', 'no-cache')
  return c.json(response)
}

async function identify(c: AppContext, options: TokenOptions) {
  const fields = await readFields(c)
  const form = uniqueParameters(fields, ['resource', 'audience'])
  // Before the client: one that has to try again with our nonce may send the same assertion.
  const proof = await readDpopProof(c, options.dpop, { status: 400 })
  const client = await authenticateClient(c, options.authentication, form)
  // RFC 9449 §5.2.
  if (client.dpopBoundAccessTokens && !proof)
    throw new OAuthError('invalid_request', 'this client must send a DPoP proof')
  const addressLimiter = isPoll(form) ? options.pollLimiter : undefined
  return { fields, form, client, proof, addressLimiter }
}

const isPoll = (form: ReadonlyMap<string, string>) =>
  form.get('grant_type') === deviceCodeGrantType && form.has('device_code')

function requireGrant(form: ReadonlyMap<string, string>, client: Client): Grant {
  const grantType = form.get('grant_type')
  if (grantType === undefined) throw new OAuthError('invalid_request', 'grant_type is missing')
  const grant = grants.get(grantType)
  if (!grant)
    throw new OAuthError('unsupported_grant_type', 'this server does not support the grant_type')
  if (!client.grantTypes.includes(grantType)) {
    throw new OAuthError('unauthorized_client', 'this client is not allowed to use the grant_type')
  }
  return grant
}
