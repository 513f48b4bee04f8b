/** Who the client is (RFC 6749 §2.3): HTTP Basic, secret in the body, or a public client that merely names itself. */

import type { ReadCache } from '#/database/read-cache.ts'
import { type Client, isClientSecret } from '#/domain/clients/clients.ts'
import { OAuthError } from '#/protocol/errors.ts'
import type { ClientAuthenticationMethod } from '#/protocol/vocabulary.ts'
import type { AppContext } from './context.ts'

interface Credentials {
  readonly method: ClientAuthenticationMethod
  readonly clientId: string
  readonly secret: string | undefined
}

/**
 * The active client that sent this request. Throws `invalid_request` for two methods at once or none at all, and
 * `invalid_client` for everything else, without telling which part was wrong.
 */
export async function authenticateClient(
  c: AppContext,
  clients: ReadCache<Client>,
  form: ReadonlyMap<string, string>,
): Promise<Client> {
  const credentials = readCredentials(c.req.header('authorization'), form)
  const client = credentials && (await clients.get(credentials.clientId))
  const genuine = client?.status === 'active' && proves(client, credentials?.secret)
  const method = credentials?.method ?? 'client_secret_basic'
  c.var.recorder.clientAuthenticated(method, genuine ? 'success' : 'failure')
  if (!client || !genuine) {
    // RFC 6749 §5.2: the challenge names the scheme.
    c.header('www-authenticate', 'Basic realm="authgate", charset="UTF-8"')
    throw new OAuthError('invalid_client', 'client authentication failed')
  }
  return client
}

/** Undefined when the header is unreadable or of another scheme. */
function readCredentials(
  authorization: string | undefined,
  form: ReadonlyMap<string, string>,
): Credentials | undefined {
  const bodySecret = form.get('client_secret')
  const bodyId = form.get('client_id')
  if (authorization !== undefined) {
    const basic = parseBasic(authorization)
    // RFC 6749 §2.3: no more than one method in each request.
    const isOther = bodyId !== undefined && basic !== undefined && bodyId !== basic.clientId
    if (bodySecret !== undefined || isOther) {
      throw new OAuthError('invalid_request', 'use one way of client authentication')
    }
    // RFC 6749 §2.3.1: an empty secret is none at all; public clients that know only Basic send it.
    if (basic?.secret === '') return { method: 'none', clientId: basic.clientId, secret: undefined }
    return basic && { method: 'client_secret_basic', ...basic }
  }
  if (bodyId === undefined) throw new OAuthError('invalid_request', 'client_id is missing')
  return {
    method: bodySecret === undefined ? 'none' : 'client_secret_post',
    clientId: bodyId,
    secret: bodySecret,
  }
}

/** A confidential client must show its secret; a public one has none to show. */
const proves = (client: Client, secret: string | undefined) =>
  client.type === 'public'
    ? secret === undefined
    : secret !== undefined && isClientSecret(client, secret)

/** RFC 7617, with both parts form-encoded first (RFC 6749 §2.3.1). */
function parseBasic(header: string): { clientId: string; secret: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(header)?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  if (colon < 0) return undefined
  const clientId = formDecode(pair.slice(0, colon))
  const secret = formDecode(pair.slice(colon + 1))
  return clientId === undefined || secret === undefined ? undefined : { clientId, secret }
}

function formDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
