/**
 * The public keys of clients: written down at registration (`jwks`), or fetched from where the client publishes them
 * (`jwks_uri`) and kept for a while. An unknown key makes us look again, so that a client can rotate, but not often:
 * whoever makes up key ids must not make us ask. jose's `createRemoteJWKSet` would do, but for three rules: it asks at
 * every request while the address does not answer, forgets keys that it cannot fetch anew, and reads the clock itself.
 */
import {
  createLocalJWKSet,
  type JSONWebKeySet,
  type JWTVerifyOptions,
  type JWTVerifyResult,
  jwtVerify,
} from 'jose'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { FetchDocument } from '#/domain/outbound/fetch-document.ts'
import { isOfBoundedSize } from '#/protocol/key-size.ts'
import { parseJson } from '#/protocol/storable.ts'

/** Where the keys of a client are; a row of `clients` has all of it. */
export interface KeyedClient {
  readonly clientId: string
  readonly jwks: { readonly keys: readonly object[] } | null
  readonly jwksUri: string | null
}

type LocalKeys = ReturnType<typeof createLocalJWKSet>
type Lookup = 'hit' | 'miss' | 'coalesced' | 'error'

export interface ClientKeysOptions {
  readonly fetchDocument: FetchDocument
  readonly onLookup: (outcome: Lookup) => void
  readonly clock: () => Date
}

export interface ClientKeys {
  /** Verifies a JWT that the client signed: signature and what the options ask for. Throws where it does not hold. */
  verify(client: KeyedClient, jwt: string, options: JWTVerifyOptions): Promise<JWTVerifyResult>
}

/** How long fetched keys are used without asking again. */
const freshMs = 10 * 60_000
/** How long they are used when asking fails. */
const staleMs = 60 * 60_000
/** How long we do not ask again, whatever key ids we are shown. */
const pauseMs = 30_000
const maxClients = 1000

interface Fetched {
  keys: LocalKeys | undefined
  fetchedAt: number
  askedAt: number
  underway: Promise<void> | undefined
  /** What went wrong the last time, for the log. */
  failure: unknown
}

export function createClientKeys(options: ClientKeysOptions): ClientKeys {
  const { clock } = options
  const written = new WeakMap<object, LocalKeys>()
  const fetched = new LRUCache<string, Fetched>({ max: maxClients })
  return {
    async verify(client, jwt, verifyOptions) {
      if (client.jwks) return verifyWith(writtenKeys(client.jwks, written), jwt, verifyOptions)
      const { clientId, jwksUri } = client
      if (jwksUri === null) throw new Error('the client has no keys')
      const key = JSON.stringify([clientId, jwksUri])
      const known = fetched.get(key) ?? nothingFetched()
      fetched.set(key, known)
      const keys = await freshKeys(known, jwksUri, options)
      try {
        return await verifyWith(keys, jwt, verifyOptions)
      } catch (error) {
        if (!isUnknownKey(error)) throw error
        const newer = await newerKeys(known, keys, () => ask(known, jwksUri, options))
        if (!newer) throw error
        return verifyWith(newer, jwt, verifyOptions)
      }
    },
  }

  async function newerKeys(known: Fetched, keys: LocalKeys, askAgain: () => Promise<void>) {
    if (known.keys === keys && mayAsk(known, clock())) await askAgain()
    return known.keys === keys ? undefined : known.keys
  }
}

const nothingFetched = (): Fetched => ({
  keys: undefined,
  fetchedAt: Number.NEGATIVE_INFINITY,
  askedAt: Number.NEGATIVE_INFINITY,
  underway: undefined,
  failure: undefined,
})

function writtenKeys(jwks: NonNullable<KeyedClient['jwks']>, known: WeakMap<object, LocalKeys>) {
  const keys = known.get(jwks) ?? createLocalJWKSet(jwks as JSONWebKeySet)
  known.set(jwks, keys)
  return keys
}

/** Several keys can fit a header without `kid`: then each is tried. */
async function verifyWith(
  keys: LocalKeys,
  jwt: string,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(jwt, keys, options)
  } catch (error) {
    if (codeOf(error) !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS') throw error
    for await (const key of error as AsyncIterable<Awaited<ReturnType<LocalKeys>>>) {
      try {
        return await jwtVerify(jwt, key, options)
      } catch (reason) {
        if (codeOf(reason) !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') throw reason
      }
    }
    throw error
  }
}

async function freshKeys(known: Fetched, uri: string, options: ClientKeysOptions) {
  const { onLookup, clock } = options
  const now = clock().getTime()
  if (known.keys && now - known.fetchedAt < freshMs) onLookup('hit')
  else if (mayAsk(known, clock())) await ask(known, uri, options)
  if (known.keys && now - known.fetchedAt < staleMs) return known.keys
  throw new Error('the keys of the client could not be fetched', { cause: known.failure })
}

const mayAsk = ({ underway, askedAt }: Fetched, now: Date) =>
  underway !== undefined || now.getTime() - askedAt >= pauseMs

/** One at a time; a failure keeps what was known. */
function ask(known: Fetched, uri: string, options: ClientKeysOptions): Promise<void> {
  const { onLookup, clock, fetchDocument } = options
  if (known.underway !== undefined) {
    onLookup('coalesced')
    return known.underway
  }
  onLookup('miss')
  const startedAt = clock().getTime()
  known.askedAt = startedAt
  known.underway = fetchDocument({ purpose: 'jwks', url: uri, accept: 'application/json' })
    .then(({ text }) => {
      const { keys } = keySet.parse(parseJson(text))
      known.keys = createLocalJWKSet({ keys: keys.filter(isOfBoundedSize) } as JSONWebKeySet)
      known.fetchedAt = startedAt
    })
    .catch((error: unknown) => {
      known.failure = error
      onLookup('error')
    })
    .finally(() => {
      known.underway = undefined
    })
  return known.underway
}

/** RFC 7517 §5; keys that we cannot use, or do not want to, are none of our business. */
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) })

const isUnknownKey = (error: unknown) =>
  [
    'ERR_JWKS_NO_MATCHING_KEY',
    'ERR_JWKS_MULTIPLE_MATCHING_KEYS',
    'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
  ].includes(codeOf(error))

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''
