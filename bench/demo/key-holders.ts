/** Apps that prove that they hold a key (RFC 9449), and what becomes of tokens and proofs in other hands. */
import { createHash, randomUUID } from 'node:crypto'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { Answer } from '../browser.ts'
import {
  allScopes,
  authenticated,
  authorizationPath,
  call,
  codeFields,
  createFamily,
  expectError,
  received,
  refreshFields,
  type Tokens,
  validated,
} from './apps.ts'
import { approve, arrive, protocolError, signOut } from './people.ts'
import type { Scenario } from './scenarios.ts'
import { did, expectThat, nextAddress, type World } from './world.ts'

interface Key {
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

export const createKey = (): Promise<Key> => generateKeyPair('ES256')

interface Request {
  readonly path: string
  readonly method: string
  readonly nonce?: string | null
  readonly accessToken?: string
}

/** RFC 9449 §4.2. */
export async function prove(world: World, key: Key, request: Request): Promise<string> {
  const { path, method: htm, nonce, accessToken } = request
  return new SignJWT({
    htm,
    htu: `${world.server.origin}${path}`,
    jti: randomUUID(),
    ...(nonce && { nonce }),
    ...(accessToken !== undefined && {
      ath: createHash('sha256').update(accessToken).digest('base64url'),
    }),
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(key.publicKey) })
    .setIssuedAt()
    .sign(key.privateKey)
}

const ask = (world: World, fields: Readonly<Record<string, string>>, dpop: string) =>
  call(world, '/oauth/token', {
    method: 'POST',
    body: new URLSearchParams({ ...fields, client_id: world.cli.clientId }),
    headers: { 'x-forwarded-for': nextAddress(), dpop },
  })

const show = (world: World, path: string, accessToken: string, dpop: string) =>
  call(world, path, { headers: { authorization: `DPoP ${accessToken}`, dpop } })

const tokenRequest = { path: '/oauth/token', method: 'POST' }

export const proven = (
  world: World,
  result: 'accepted' | 'invalid' | 'nonce_missing' | 'replayed',
) => did(world, 'authgate_dpop_proofs_total', { result })

/** The server refuses, says why, and tells its nonce. */
export function refused(
  world: World,
  answer: Answer,
  { endpoint, result }: { endpoint: string; result: 'invalid' | 'nonce_missing' | 'replayed' },
): string | null {
  const error = result === 'nonce_missing' ? 'use_dpop_nonce' : 'invalid_dpop_proof'
  expectError(answer, ['/oauth/userinfo', '/oauth/tokeninfo'].includes(endpoint) ? 401 : 400, error)
  proven(world, result)
  protocolError(world, endpoint, error, result === 'replayed' ? 'replayed_proof' : undefined)
  return answer.headers.get('dpop-nonce')
}

/** Binds its tokens to a key, and shows them with it. */
const keyHolder: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const key = await createKey()
  const family = createFamily(person, world.cli)
  const path = authorizationPath(world.cli, allScopes)
  const code = codeFields(world.cli, await approve(world, person, { browser, family, path }))
  const at = { endpoint: '/oauth/token' }
  const first = await ask(world, code, await prove(world, key, tokenRequest))
  const nonce = refused(world, first, { ...at, result: 'nonce_missing' })
  refused(world, await ask(world, code, 'a.b.c'), { ...at, result: 'invalid' })
  const proof = await prove(world, key, { ...tokenRequest, nonce })
  const answer = await ask(world, code, proof)
  expectThat(answer.status === 200, `redeeming a code with a proof answered ${answer.status}`)
  authenticated(world, 'none', 'success')
  proven(world, 'accepted')
  did(world, 'authgate_authorization_codes_total', { event: 'redeemed' })
  const tokens = received(world, family, answer, 'authorization_code')
  const again = await ask(world, refreshFields(tokens.refresh), proof)
  refused(world, again, { ...at, result: 'replayed' })
  authenticated(world, 'none', 'success')
  await takenByAnother(world, tokens, nonce)
  for (const path of ['/oauth/userinfo', '/oauth/tokeninfo'])
    await lookUpBound(world, key, path, tokens)
  await signOut(world, person, browser)
}

/** The refresh token without its key. */
async function takenByAnother(world: World, { refresh }: Tokens, nonce: string | null) {
  const proof = await prove(world, await createKey(), { ...tokenRequest, nonce })
  expectError(await ask(world, refreshFields(refresh), proof), 400, 'invalid_grant')
  authenticated(world, 'none', 'success')
  proven(world, 'accepted')
  did(world, 'oauth_tokens_refreshed_total', { result: 'key_mismatch' })
  protocolError(world, '/oauth/token', 'invalid_grant')
}

async function lookUpBound(world: World, key: Key, path: string, { access }: Tokens) {
  const request = { path, method: 'GET', accessToken: access }
  const first = await show(world, path, access, await prove(world, key, request))
  const nonce = refused(world, first, { endpoint: path, result: 'nonce_missing' })
  const proof = await prove(world, key, { ...request, nonce })
  const answer = await show(world, path, access, proof)
  expectThat(answer.status === 200, `${path} with a proof answered ${answer.status}`)
  validated(world, 'valid')
  proven(world, 'accepted')
  const again = await show(world, path, access, proof)
  refused(world, again, { endpoint: path, result: 'replayed' })
  validated(world, 'valid')
}

export const keyHolders: readonly Scenario[] = [keyHolder]
