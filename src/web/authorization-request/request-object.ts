/** Requests that their client has signed (JAR, RFC 9101; OIDC Core §6), in the request itself or where the client keeps them. */
import type { Database } from '#/database/client.ts'
import type { ClientKeys } from '#/domain/clients/client-keys.ts'
import type { Client } from '#/domain/clients/clients.ts'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import { verifyRequestObject } from '#/domain/proofs/request-object.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { ProofError } from '#/protocol/proofs.ts'

export interface ObjectRules {
  readonly db: Database
  readonly issuer: string
  readonly clientKeys: ClientKeys
  readonly fetchDocument: FetchDocument
}

/** Whether parameters are more than a plain request: then they are good once, and no address to reload. */
export const hasObject = (parameters: URLSearchParams): boolean =>
  parameters.has('request') || parameters.has('request_uri')

/** The parameters that count: where there is a request object, those inside it alone (RFC 9101 §6.3). */
export async function openRequestObject(
  outer: URLSearchParams,
  client: Client,
  { rules, now }: { rules: ObjectRules; now: Date },
): Promise<URLSearchParams> {
  const requestObject = await readObject(outer, client, rules)
  if (requestObject === undefined) {
    // RFC 9101 §10.5.
    if (client.requireSignedRequestObject)
      throw new OAuthError('invalid_request', 'this client must sign its authorization requests')
    return outer
  }
  const { db, clientKeys, issuer } = rules
  const presented = { requestObject, client, issuer, now }
  const inner = await verifyRequestObject(db, clientKeys, presented).catch((cause: unknown) => {
    if (!(cause instanceof ProofError)) throw cause
    throw new OAuthError('invalid_request_object', 'the request object is not valid', { cause })
  })
  inner.set('client_id', client.clientId)
  // OIDC Core §6.1: these two stand beside the object in any case, so that it may leave them out.
  if (!client.requireSignedRequestObject)
    for (const name of ['response_type', 'scope'])
      for (const value of inner.has(name) ? [] : outer.getAll(name)) inner.append(name, value)
  return inner
}

async function readObject(
  outer: URLSearchParams,
  client: Client,
  { fetchDocument }: ObjectRules,
): Promise<string | undefined> {
  const [object, ...objects] = outer.getAll('request')
  const [uri, ...uris] = outer.getAll('request_uri')
  if (objects.length > 0 || uris.length > 0 || (object && uri))
    throw new OAuthError('invalid_request', 'send either request or request_uri')
  if (!uri) return object || undefined
  if (
    !client.requestUris.some((registered) => withoutFragment(registered) === withoutFragment(uri))
  )
    throw new OAuthError('invalid_request_uri', 'the request_uri is not registered')
  const accept = 'application/oauth-authz-req+jwt, application/jwt'
  const url = withoutFragment(uri)
  const document = await fetchDocument({ purpose: 'request_object', url, accept }).catch(
    (cause: unknown) => {
      throw new OAuthError('invalid_request_uri', 'the request_uri cannot be read', { cause })
    },
  )
  return document.text.trim()
}

/** OIDC Core §6.2: the fragment tells versions of the document apart, for those who keep a copy; we do not. */
const withoutFragment = (uri: string) => uri.replace(/#.*$/s, '')
