/**
 * /oauth/register: clients register themselves (RFC 7591, OIDC Dynamic Registration) and look after their registration
 * (RFC 7592). Off by default; a new client waits for an operator's approval unless a setting says otherwise.
 */

import { Hono } from 'hono'
import type { Database } from '#/database/client.ts'
import type { ReadCache } from '#/database/read-cache.ts'
import { updateClient } from '#/domain/access-revocation/edit-clients.ts'
import { deleteClient } from '#/domain/access-revocation/end-clients.ts'
import { type Client, isClientSecret } from '#/domain/clients/clients.ts'
import { metadataOf } from '#/domain/clients/metadata.ts'
import {
  findRegisteredClient,
  type RegistrationStatus,
  registerClient,
} from '#/domain/clients/registrations.ts'
import { verifySector } from '#/domain/clients/sector-identifier.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import { type ClientMetadata, createMetadataParser } from '#/protocol/client-metadata.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import type { Offered } from '#/protocol/offered.ts'
import { scopeWords, standardScopes } from '#/protocol/scopes.ts'
import { constantTimeEqual } from '#/protocol/secrets.ts'
import { byNetworks, enforceLimits, type Limiter } from '#/web/limits/rate-limit.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { recordEndedAccess } from '#/web/sessions/record-ended.ts'
import { readBearer, readObject, refuseBearer } from './request.ts'

export interface RegisterOptions {
  readonly db: Database
  readonly issuer: string
  readonly offered: Offered
  readonly clients: ReadCache<Client>
  readonly fetchDocument: FetchDocument
  readonly enabled: boolean
  /** Initial access token (RFC 7591 §3); undefined opens registration to everyone. */
  readonly initialToken: string | undefined
  readonly status: RegistrationStatus
  readonly limiter: Limiter | undefined
  /** Whether addresses of clients may be plain http on this machine. */
  readonly loopbackHttp: boolean
  /** Whether PKCE is asked of new clients. */
  readonly requirePkce: boolean
  /** Those without a dot that clients may redirect to. */
  readonly privateUseSchemes: readonly string[]
}

interface Context extends RegisterOptions {
  readonly parse: (input: object) => ClientMetadata
}

export function registerRoutes(options: RegisterOptions): Hono<AppEnv> {
  const parse = createMetadataParser(rulesOf(options))
  const context = {
    ...options,
    parse: (input: object) => withinOffered(parse(input), options.offered),
  }
  return new Hono<AppEnv>()
    .post('/oauth/register', (c) => counted(c, context, register))
    .get('/oauth/register/:clientId', (c) => counted(c, context, read))
    .put('/oauth/register/:clientId', (c) => counted(c, context, update))
    .delete('/oauth/register/:clientId', (c) => counted(c, context, remove))
}

/** Token exchange and scopes of resources are for an operator to give. */
const rulesOf = ({ loopbackHttp, privateUseSchemes }: RegisterOptions) => ({
  loopbackHttp,
  privateUseSchemes,
  scopes: standardScopes,
  grantTypes: [
    'authorization_code',
    'refresh_token',
    'client_credentials',
    deviceCodeGrantType,
  ] as const,
})

/** RFC 7591 §2: what is asked for beyond what is offered is left out, and the answer says so. */
function withinOffered(metadata: ClientMetadata, { grantTypes, scopes }: Offered): ClientMetadata {
  const grant_types = metadata.grant_types.filter((name) => grantTypes.includes(name))
  if (grant_types.length === 0)
    throw new OAuthError('invalid_client_metadata', 'grant_types must name one that is offered')
  const scope = scopeWords(metadata.scope).filter((word) => scopes.includes(word))
  return { ...metadata, grant_types, scope: scope.join(' ') }
}

type Handler = (c: AppContext, context: Context) => Promise<Response>

async function counted(c: AppContext, context: Context, handle: Handler): Promise<Response> {
  try {
    if (!context.enabled)
      throw new OAuthError('registration_not_supported', 'dynamic client registration is disabled')
    return await handle(c, context)
  } catch (error) {
    const code = error instanceof OAuthError ? error.code : undefined
    if (code === 'invalid_token') c.var.recorder.registration('unauthorized')
    if (code !== 'invalid_token' && code?.startsWith('invalid_'))
      c.var.recorder.registration('rejected_metadata')
    throw error
  }
}

async function register(c: AppContext, context: Context) {
  const { db, fetchDocument, initialToken, status, requirePkce } = context
  await limit(c, context)
  if (initialToken !== undefined && !shows(readBearer(c), initialToken)) refuseBearer(c)
  const metadata = context.parse(await readObject(c))
  await verifySector(fetchDocument, metadata)
  const registered = await registerClient(db, { metadata, status, requirePkce }, by(c))
  c.var.recorder.registration('created')
  return c.json(describe(context, registered), 201)
}

const shows = (presented: string | undefined, token: string) =>
  presented !== undefined && constantTimeEqual(presented, token)

async function read(c: AppContext, context: Context) {
  const { client, registrationToken } = await identify(c, context)
  return c.json(describe(context, { client, registrationToken }))
}

async function update(c: AppContext, context: Context) {
  const { db, fetchDocument, status, clients } = context
  const { client, registrationToken } = await identify(c, context)
  await limit(c, context)
  const given = await readObject(c)
  requireSameClient(client, given)
  const metadata = context.parse(given)
  await verifySector(fetchDocument, metadata)
  const updated = await updateClient(db, { client, metadata, status }, by(c))
  if (!updated) return refuseBearer(c)
  clients.invalidate(client.clientId)
  c.var.recorder.registration('updated')
  if (updated.returned) c.var.recorder.clientDecided('returned')
  recordEndedAccess(c.var.recorder, updated.ended, 'system')
  return c.json(describe(context, { ...updated, registrationToken }))
}

async function remove(c: AppContext, context: Context) {
  const { client } = await identify(c, context)
  const deleted = await deleteClient(context.db, client, by(c))
  if (!deleted) return refuseBearer(c)
  context.clients.invalidate(client.clientId)
  c.var.recorder.registration('deleted')
  recordEndedAccess(c.var.recorder, deleted, 'system')
  return c.body(null, 204)
}

const limit = (c: AppContext, { db, limiter }: Context) =>
  enforceLimits(c, db, byNetworks(limiter, c.var.address))

/** RFC 7592 §2: the registration access token authenticates the client; a deleted one gets the same 401. */
async function identify(c: AppContext, context: Context) {
  const registrationToken = readBearer(c)
  const client =
    registrationToken === undefined
      ? undefined
      : await findRegisteredClient(context.db, c.req.param('clientId') ?? '', registrationToken)
  if (registrationToken !== undefined && client) return { client, registrationToken }
  await limit(c, context)
  return refuseBearer(c)
}

/** RFC 7592 §2.2. */
function requireSameClient(client: Client, given: Readonly<Record<string, unknown>>) {
  const { client_id: clientId, client_secret: secret } = given
  if (clientId !== client.clientId)
    throw new OAuthError('invalid_client_metadata', 'client_id must be that of this client')
  if (secret !== undefined && !(typeof secret === 'string' && isClientSecret(client, secret)))
    throw new OAuthError('invalid_client_metadata', 'client_secret must be the current one')
}

interface Described {
  readonly client: Client
  readonly registrationToken: string
  readonly secret?: string | undefined
}

/** RFC 7591 §3.2.1, RFC 7592 §3. The secret is stored as a digest, so it is returned only when it is created. */
const describe = ({ issuer }: Context, { client, registrationToken, secret }: Described) => ({
  client_id: client.clientId,
  client_id_issued_at: Math.floor(client.createdAt.getTime() / 1000),
  ...(secret !== undefined && { client_secret: secret, client_secret_expires_at: 0 }),
  ...metadataOf(client),
  registration_access_token: registrationToken,
  registration_client_uri: `${issuer}/oauth/register/${client.clientId}`,
})

const by = (c: AppContext) => ({ origin: c.var.origin, now: c.var.now })
