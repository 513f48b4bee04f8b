import { OAuthError } from '#/protocol/errors.ts'
import { parseJson } from '#/protocol/storable.ts'
import type { AppContext } from '#/web/request/context.ts'

/** RFC 7591 §3.1: the metadata are one JSON object. */
export async function readObject(c: AppContext): Promise<Readonly<Record<string, unknown>>> {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json')
    throw new OAuthError('invalid_request', 'the body must be application/json', { status: 415 })
  const text = await c.req.text()
  if (Buffer.byteLength(text) > maxBytes)
    throw new OAuthError('invalid_client_metadata', 'the metadata must have at most 16 KiB', {
      status: 413,
    })
  const value = parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new OAuthError('invalid_request', 'the body must be a JSON object')
  return value as Record<string, unknown>
}

/** No honest client comes near it, and it is stored. */
const maxBytes = 16 * 1024

function parse(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    // The engine's own words would quote the body, and there may be a secret in it.
    throw new OAuthError('invalid_request', 'the body must be JSON')
  }
}

/** RFC 6750 §2.1; in the header alone. */
export const readBearer = (c: AppContext): string | undefined =>
  /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(c.req.header('authorization') ?? '')?.[1]

/** RFC 6750 §3: without a token there is nothing to say about it. */
export function refuseBearer(c: AppContext): never {
  const about = readBearer(c) === undefined ? '' : ', error="invalid_token"'
  c.header('www-authenticate', `Bearer realm="authgate"${about}`)
  throw new OAuthError('invalid_token', 'a valid registration access token is required')
}
