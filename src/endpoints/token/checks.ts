/** What a token request (RFC 6749 §3.2) is checked for, in this order, before its grant; each check throws. */
import type { z } from 'zod'
import type { VersionedClient } from '#/domain/clients/client-version.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { DpopProof } from '#/protocol/dpop.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import type { Offered } from '#/protocol/offered.ts'
import { parseResources } from '#/protocol/resources.ts'
import {
  authenticateClient,
  type ClientAuthentication,
} from '#/web/clients/client-authentication.ts'
import { type DpopOptions, readDpopProof } from '#/web/clients/dpop.ts'
import type { Limiter } from '#/web/limits/rate-limit.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readFields, uniqueParameters } from '#/web/request/forms.ts'
import { type ExtraClaimsPolicy, readExtraClaims } from './extra-claims.ts'
import type { Grant } from './grant.ts'
import { authorizationCode } from './grants/authorization-code.ts'
import { clientCredentials } from './grants/client-credentials.ts'
import { deviceCode } from './grants/device-code.ts'
import { refreshToken } from './grants/refresh-token.ts'
import { tokenExchange } from './grants/token-exchange.ts'

export interface CheckOptions {
  readonly offered: Offered
  readonly authentication: ClientAuthentication
  readonly dpop: DpopOptions
  readonly extraClaims: ExtraClaimsPolicy
  /** For polls of public clients' devices that fail: by address, which several of them may share. */
  readonly pollLimiter: Limiter | undefined
}

export interface Sender {
  readonly fields: URLSearchParams
  readonly form: ReadonlyMap<string, string>
  readonly client: VersionedClient
  readonly proof: DpopProof | undefined
  readonly addressLimiter: Limiter | undefined
}

/** Who sent it. The proof comes before the client: one that has to try again with our nonce may send the same assertion. */
export async function identifySender(
  c: AppContext,
  { dpop, authentication, pollLimiter }: CheckOptions,
): Promise<Sender> {
  const fields = await readFields(c)
  const form = uniqueParameters(fields, ['resource', 'audience']) // RFC 6749 §3.2
  const proof = await readDpopProof(c, dpop, { status: 400 }) // RFC 9449 §5
  const client = await authenticateClient(c, authentication, form) // RFC 6749 §3.2.1
  requireProof(client, proof) // RFC 9449 §5.2
  return { fields, form, client, proof, addressLimiter: isPoll(form) ? pollLimiter : undefined }
}

/** Which grant is asked for, and what with, once the request is counted against its sender. */
export function checkGrant(
  c: AppContext,
  { form, client, proof }: Sender,
  { offered }: CheckOptions,
): { grant: Grant; parameters: z.output<z.ZodObject> } {
  requireProof(client, proof) // RFC 9449 §5.2: again, for a client that has changed meanwhile
  const grantType = requireGrantType(form) // RFC 6749 §4
  const grant = requireOffered(grantType, offered) // RFC 6749 §5.2, unsupported_grant_type
  requireRegistered(client, grantType) // RFC 6749 §5.2, unauthorized_client
  c.set('grantType', grant.grantType)
  return { grant, parameters: parseParameters(grant, form) } // RFC 6749 §5.2, invalid_request
}

/** What the tokens are to be for; the proof is used up after it. */
export const checkTarget = ({ fields, form, client }: Sender, { extraClaims }: CheckOptions) => ({
  resources: parseResources(fields.getAll('resource')), // RFC 8707 §2
  audiences: fields.getAll('audience').filter((audience) => audience !== ''), // RFC 8693 §2.1
  extraClaims: readExtraClaims(form.get('extra_claims'), client, extraClaims), // ours
})

const grants = new Map<string, Grant>(
  [authorizationCode, refreshToken, clientCredentials, deviceCode, tokenExchange].map((grant) => [
    grant.grantType,
    grant,
  ]),
)

function requireProof(client: Client, proof: DpopProof | undefined) {
  if (client.dpopBoundAccessTokens && !proof)
    throw new OAuthError('invalid_request', 'this client must send a DPoP proof')
}

const isPoll = (form: ReadonlyMap<string, string>) =>
  form.get('grant_type') === deviceCodeGrantType && form.has('device_code')

function requireGrantType(form: ReadonlyMap<string, string>): string {
  const grantType = form.get('grant_type')
  if (grantType === undefined) throw new OAuthError('invalid_request', 'grant_type is missing')
  return grantType
}

function requireOffered(grantType: string, { grantTypes }: Offered): Grant {
  const grant = grants.get(grantType)
  if (!grant || !grantTypes.includes(grant.grantType))
    throw new OAuthError('unsupported_grant_type', 'this server does not support the grant_type')
  return grant
}

function requireRegistered(client: Client, grantType: string) {
  if (!client.grantTypes.includes(grantType))
    throw new OAuthError('unauthorized_client', 'this client is not allowed to use the grant_type')
}

function parseParameters(grant: Grant, form: ReadonlyMap<string, string>) {
  const parsed = grant.parameters.safeParse(Object.fromEntries(form))
  if (parsed.success) return parsed.data
  const name = String(parsed.error.issues[0]?.path[0])
  throw new OAuthError('invalid_request', `${name} is missing or malformed`)
}
