import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { usedProofs } from '#/database/schema/used-proofs.ts'
import { createClientKeys } from '#/domain/clients/client-keys.ts'
import { verifyClientAssertion } from '#/domain/proofs/client-assertion.ts'
import { verifyRequestObject } from '#/domain/proofs/request-object.ts'
import { consumeProof, deleteUsedProofs } from '#/domain/proofs/used-proofs.ts'
import { clientSigningAlgorithms } from '#/protocol/vocabulary.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  createKey,
  inSeconds,
  keySetOf,
  type ProofKey,
  signAssertion,
  signJwt,
} from '../support/proofs.ts'

let database: TestDatabase
let key: ProofKey
beforeAll(async () => {
  database = await openTestDatabase()
  key = await createKey()
})
afterAll(() => database.close())

const now = new Date()
const issuer = 'https://id.example.test'
const tokenEndpoint = `${issuer}/oauth/token`
const keys = createClientKeys({
  fetchDocument: () => Promise.reject(new Error('nobody is asked here')),
  onLookup: () => {},
  clock: () => now,
})
const countProofs = () => database.db.$count(usedProofs)

describe('a proof that may be used once', () => {
  const proof = () => ({
    kind: 'dpop' as const,
    owner: crypto.randomUUID(),
    jti: 'one',
    expiresAt: new Date(now.getTime() + 60_000),
  })

  it('is used by one of fifty at the same time', async () => {
    const same = proof()
    const uses = await Promise.all(
      Array.from({ length: 50 }, () => consumeProof(database.db, same)),
    )
    expect(uses.filter(Boolean)).toHaveLength(1)
    expect(await consumeProof(database.db, same)).toBe(false)
  })

  it('is another one of another kind, owner or id, wherever one ends and the next begins', async () => {
    const first = proof()
    const { owner } = first
    expect(await consumeProof(database.db, first)).toBe(true)
    for (const other of [
      { kind: 'client_assertion' as const },
      { owner: `${owner}x` },
      { owner: `${owner}"`, jti: ',one' },
      { jti: 'two' },
      { jti: 'one ' },
      { jti: 'x'.repeat(10_000) },
    ])
      expect(await consumeProof(database.db, { ...first, ...other })).toBe(true)
  })

  it('is forgotten after its time and not before', async () => {
    const kept = proof()
    const gone = { ...proof(), expiresAt: new Date(now.getTime() - 3000) }
    await consumeProof(database.db, kept)
    await consumeProof(database.db, gone)
    expect(await deleteUsedProofs(database.db, now, 10)).toBe(1)
    expect(await deleteUsedProofs(database.db, now, 10)).toBe(0)
    expect(await consumeProof(database.db, kept)).toBe(false)
    expect(await consumeProof(database.db, gone)).toBe(true)
    expect(await deleteUsedProofs(database.db, now, 10)).toBe(1)
  })
})

describe('a client assertion', () => {
  const clientId = 'client-1'
  const client = (more: object = {}) => ({
    clientId,
    jwks: keySetOf(key),
    jwksUri: null,
    tokenEndpointAuthSigningAlg: null,
    ...more,
  })
  const audiences = [issuer, tokenEndpoint]
  const sign = (claims: Record<string, unknown> = {}, header = {}, by = key) =>
    signAssertion(by, { clientId, audience: issuer, now, claims, header })
  const verify = (assertion: string, of = client()) =>
    verifyClientAssertion(database.db, keys, { assertion, client: of, audiences, now })

  async function expectRefused(assertion: string, of = client()) {
    const before = await countProofs()
    await expect(verify(assertion, of)).rejects.toMatchObject({
      name: expect.stringMatching(/ProofError$/),
    })
    expect(await countProofs()).toBe(before)
  }

  it.each(clientSigningAlgorithms)('may be signed with %s', async (alg) => {
    const by = await createKey(alg)
    const of = client({ jwks: keySetOf(by) })
    await verify(await sign({}, {}, by), of)
    await verify(await sign({}, {}, by), client({ ...of, tokenEndpointAuthSigningAlg: alg }))
  })

  it('may name the issuer, the endpoint, or both', async () => {
    for (const aud of [issuer, tokenEndpoint, [issuer], [issuer, tokenEndpoint]])
      await verify(await sign({ aud }))
  })

  it('may say that it is one, or a JWT, or nothing, but nothing else', async () => {
    for (const typ of ['JWT', 'client-authentication+jwt', undefined])
      await verify(await sign({}, { typ }))
    for (const typ of ['oauth-authz-req+jwt', 'dpop+jwt', 'at+jwt'])
      await expectRefused(await sign({}, { typ }))
  })

  it('may come from a clock that is half a minute beside ours', async () => {
    const at = (seconds: number) => inSeconds(now, seconds)
    await verify(await sign({ iat: at(29), nbf: at(29), exp: at(3600) }))
    await verify(await sign({ exp: at(-29) }))
    await verify(await sign({ iat: undefined }))
  })

  const wrong: [string, Record<string, unknown>][] = [
    ['no issuer', { iss: undefined }],
    ['another issuer', { iss: 'client-2' }],
    ['no subject', { sub: undefined }],
    ['another subject', { sub: 'client-2' }],
    ['no audience', { aud: undefined }],
    ['an empty audience', { aud: [] }],
    ['another audience', { aud: 'https://other.test' }],
    ['the issuer with a slash', { aud: `${issuer}/` }],
    ['an audience besides us', { aud: [issuer, 'https://other.test'] }],
    ['no end', { exp: undefined }],
    ['an end that is a text', { exp: '9999999999' }],
    ['an end that has passed', { exp: inSeconds(now, -31) }],
    ['an end too far away', { exp: inSeconds(now, 3602) }],
    ['a beginning in the future', { nbf: inSeconds(now, 31) }],
    ['a birth in the future', { iat: inSeconds(now, 32) }],
    ['no id', { jti: undefined }],
    ['an empty id', { jti: '' }],
    ['an id that is a number', { jti: 1 }],
  ]
  it.each(wrong)('with %s is refused, and its id stays unused', async (_, claims) => {
    await expectRefused(await sign(claims))
  })

  it('is refused from another key, another algorithm, under a shared secret, unsigned, or as no JWT', async () => {
    const good = await sign()
    const [head, body = '', signature] = good.split('.')
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const secret = new TextEncoder().encode(JSON.stringify(key.jwk).padEnd(32))
    const shared = { ...key, alg: 'HS256', privateKey: secret as unknown as CryptoKey }
    for (const assertion of [
      await sign({}, {}, await createKey()),
      await sign({}, { kid: key.jkt }, await createKey()),
      await sign({}, { kid: 'x', jwk: key.jwk }),
      await sign({}, {}, shared),
      `${encode({ alg: 'none' })}.${body}.`,
      `${head}.${encode({ iss: clientId, sub: clientId, aud: issuer, jti: 'x' })}.${signature}`,
      `${head}.${body}.`,
      'x',
      '',
    ])
      await expectRefused(assertion)
    await expectRefused(good, client({ tokenEndpointAuthSigningAlg: 'PS256' }))
    await expectRefused(good, client({ jwks: null }))
    await expectRefused(good, client({ clientId: 'client-2' }))
    await verify(good)
  })

  it('is accepted once, of fifty at the same time and ever after', async () => {
    const assertion = await sign()
    const all = await Promise.allSettled(Array.from({ length: 50 }, () => verify(assertion)))
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await expectRefused(assertion)
    await verify(await sign({ jti: 'again' }))
    await expectRefused(await sign({ jti: 'again' }))
  })
})

describe('a request object', () => {
  const clientId = 'client-3'
  const client = (more: object = {}) => ({
    clientId,
    jwks: keySetOf(key),
    jwksUri: null,
    requestObjectSigningAlg: null,
    requireSignedRequestObject: false,
    ...more,
  })
  const strict = () => client({ requireSignedRequestObject: true })
  const sign = (claims: Record<string, unknown> = {}, header = {}, by = key) =>
    signJwt(by, { iss: clientId, aud: issuer, client_id: clientId, ...claims }, header)
  const verify = (requestObject: string, of = client()) =>
    verifyRequestObject(database.db, keys, { requestObject, client: of, issuer, now })
  const unsigned = (claims: object, signature = '') =>
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`
  const lively = { nbf: inSeconds(now), exp: inSeconds(now, 300) }

  async function expectRefused(requestObject: string, of = client()) {
    const before = await countProofs()
    await expect(verify(requestObject, of)).rejects.toMatchObject({
      name: expect.stringMatching(/ProofError$/),
    })
    expect(await countProofs()).toBe(before)
  }

  it('turns into the parameters that it holds, and nothing of its own', async () => {
    const parameters = await verify(
      await sign({
        ...lively,
        sub: 'x',
        iat: inSeconds(now),
        jti: crypto.randomUUID(),
        scope: 'openid',
        max_age: 60,
        state: '',
        nonce: null,
        flag: true,
        claims: { id_token: { acr: null } },
        resource: ['https://a.test', 'https://b.test'],
      }),
    )
    expect([...parameters]).toEqual([
      ['client_id', clientId],
      ['scope', 'openid'],
      ['max_age', '60'],
      ['state', ''],
      ['flag', 'true'],
      ['claims', '{"id_token":{"acr":null}}'],
      ['resource', 'https://a.test'],
      ['resource', 'https://b.test'],
    ])
  })

  it('may say that it is one, or a JWT, or nothing', async () => {
    for (const typ of ['oauth-authz-req+jwt', 'application/oauth-authz-req+jwt', 'JWT', undefined])
      await verify(await sign({}, { typ }))
  })

  it('need not say who speaks to whom where OIDC Core leaves it out', async () => {
    await verify(await sign({ iss: undefined, aud: undefined, client_id: undefined }))
  })

  const wrong: [string, Record<string, unknown>, object?][] = [
    ['another issuer', { iss: 'client-4' }],
    ['another audience', { aud: 'https://other.test' }],
    ['an empty audience', { aud: [] }],
    ['another client', { client_id: 'client-4' }],
    ['an end that has passed', { exp: inSeconds(now, -31) }],
    ['a beginning in the future', { nbf: inSeconds(now, 32) }],
    ['a request inside', { request: 'x' }],
    ['a request_uri inside', { request_uri: 'urn:x' }],
    ['an id that is none', { jti: 1 }],
    ['an empty id', { jti: '' }],
    [
      'an id that would have to be remembered for long',
      { jti: 'far', exp: inSeconds(now, 86_401) },
    ],
    ['an end beyond all dates', { jti: 'absurd', exp: 1e15 }],
    ['the type of another JWT', {}, { typ: 'dpop+jwt' }],
    ['the type of an access token', {}, { typ: 'at+jwt' }],
    ['its type and no issuer', { iss: undefined }, { typ: 'oauth-authz-req+jwt' }],
    ['its type and no audience', { aud: undefined }, { typ: 'oauth-authz-req+jwt' }],
  ]
  it.each(wrong)('with %s is refused', async (_, claims, header = {}) => {
    await expectRefused(await sign(claims, header))
  })

  it('of a client that has to sign lives an hour at most, and says who speaks to whom', async () => {
    const at = (seconds: number) => inSeconds(now, seconds)
    await verify(await sign(lively), strict())
    await verify(await sign({ nbf: at(-3600), exp: at(0) }), strict())
    for (const claims of [
      { ...lively, iss: undefined },
      { ...lively, aud: undefined },
      { exp: lively.exp },
      { nbf: lively.nbf },
      { nbf: at(0), exp: at(3601) },
      { nbf: at(-3700), exp: at(-100) },
    ])
      await expectRefused(await sign(claims), strict())
    await expectRefused(unsigned({ iss: clientId, aud: issuer, ...lively }), strict())
    await expectRefused(
      unsigned({ iss: clientId, aud: issuer, ...lively }),
      client({ requireSignedRequestObject: true, requestObjectSigningAlg: 'none' }),
    )
  })

  it('may be unsigned only from a client that registered so, which then may not sign', async () => {
    const none = client({ requestObjectSigningAlg: 'none' })
    const parameters = await verify(unsigned({ client_id: clientId, scope: 'openid' }), none)
    expect([...parameters]).toEqual([
      ['client_id', clientId],
      ['scope', 'openid'],
    ])
    await expectRefused(unsigned({ scope: 'openid' }))
    await expectRefused(unsigned({ scope: 'openid' }, 'AAAA'), none)
    await expectRefused(unsigned({ client_id: 'client-4' }), none)
    await expectRefused(unsigned({ exp: inSeconds(now, -31) }), none)
    await expectRefused(await sign(), none)
  })

  it('is refused from another key or another algorithm than the registered one', async () => {
    await expectRefused(await sign({}, {}, await createKey()))
    await expectRefused(await sign(), client({ requestObjectSigningAlg: 'PS256' }))
    await verify(await sign(), client({ requestObjectSigningAlg: 'ES256' }))
    const ed = await createKey('Ed25519')
    const of = client({ jwks: keySetOf(ed), requestObjectSigningAlg: 'EdDSA' })
    await verify(await sign({}, {}, ed), of)
  })

  it('with an id is accepted once, of fifty at the same time', async () => {
    for (const claims of [{ jti: 'one', ...lively }, { jti: 'two' }]) {
      const requestObject = await sign(claims)
      const all = await Promise.allSettled(Array.from({ length: 50 }, () => verify(requestObject)))
      expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      await expectRefused(requestObject)
    }
  })

  it('without an id can be shown again', async () => {
    const requestObject = await sign()
    await verify(requestObject)
    await verify(requestObject)
  })
})
