import { generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ClientKeys, createClientKeys } from '#/domain/clients/client-keys.ts'
import { createKey, keySetOf, type ProofKey, publicJwk, signJwt } from '../../support/proofs.ts'

const minute = 60_000
let now: number
let answers: (object | string)[]
let asked: number
let lookups: string[]
let keys: ClientKeys
let one: ProofKey
let two: ProofKey
beforeAll(async () => {
  one = await createKey()
  two = await createKey()
})
beforeEach(() => {
  now = 0
  answers = []
  asked = 0
  lookups = []
  keys = createClientKeys({
    clock: () => new Date(now),
    onLookup: (outcome) => lookups.push(outcome),
    async fetchDocument() {
      asked += 1
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      if (answer === undefined) throw new Error('out of reach')
      const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
      return { text, contentType: 'application/json' }
    },
  })
})

const client = { clientId: 'client', jwks: null, jwksUri: 'https://keys.example.test/' }
const written = (...of: ProofKey[]) => ({
  clientId: 'client',
  jwks: keySetOf(...of),
  jwksUri: null,
})

const sign = (by: ProofKey, header: Record<string, unknown> = { kid: by.jkt }) =>
  signJwt(by, { a: 1 }, header)

const verifies = (of: Parameters<ClientKeys['verify']>[0], jwt: string) =>
  keys.verify(of, jwt, { algorithms: ['ES256'] }).then(
    ({ payload }) => payload['a'] === 1,
    () => false,
  )

describe('keys written down at registration', () => {
  it('verify what one of them signed, by key id, or by trying them when there is none', async () => {
    const of = written(one, two)
    for (const by of [one, two]) {
      expect(await verifies(of, await sign(by))).toBe(true)
      expect(await verifies(of, await sign(by, {}))).toBe(true)
    }
    expect(await verifies(of, await sign(one, { kid: two.jkt }))).toBe(false)
    expect(await verifies(of, await sign(await createKey(), {}))).toBe(false)
    expect(await verifies(of, await sign(await createKey()))).toBe(false)
    expect(asked).toBe(0)
  })

  it('are not used for another purpose, under another algorithm, or when there are none', async () => {
    const jwt = await sign(one)
    const changed = (change: object) => ({
      ...client,
      jwks: { keys: [{ ...publicJwk(one), ...change }] },
    })
    expect(await verifies(changed({}), jwt)).toBe(true)
    for (const change of [{ use: 'enc' }, { alg: 'ES384' }, { key_ops: ['sign'] }, { kty: 'x' }])
      expect(await verifies(changed(change), jwt)).toBe(false)
    expect(await verifies({ ...client, jwks: { keys: [] } }, jwt)).toBe(false)
    expect(await verifies({ ...client, jwksUri: null }, jwt)).toBe(false)
    const rsa = await createKey('RS256')
    expect(await verifies(written(rsa), await sign(rsa))).toBe(false)
  })
})

describe('keys that a client publishes', () => {
  it('are used only up to a size that costs little', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const fits = { ...publicKey.export({ format: 'jwk' }), kid: 'rsa', alg: 'RS256' }
    const large = { ...fits, n: Buffer.alloc(513, 0xff).toString('base64url') }
    const jwt = await new SignJWT({ a: 1 })
      .setProtectedHeader({ alg: 'RS256', kid: 'rsa' })
      .sign(privateKey)
    answers = [{ keys: [large] }, { keys: [fits] }]
    const verify = () => keys.verify(client, jwt, { algorithms: ['RS256'] })
    await expect(verify()).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' })
    now += 11 * minute
    expect((await verify()).payload).toEqual({ a: 1 })
  })

  it('are asked for once in ten minutes, however many ask at a time', async () => {
    answers = [keySetOf(one)]
    const jwt = await sign(one)
    const all = await Promise.all(Array.from({ length: 20 }, () => verifies(client, jwt)))
    expect([all.every(Boolean), asked]).toEqual([true, 1])
    expect(lookups).toEqual(['miss', ...Array(19).fill('coalesced')])
    now = 10 * minute - 1
    expect([await verifies(client, jwt), asked, lookups.at(-1)]).toEqual([true, 1, 'hit'])
    now = 10 * minute
    expect([await verifies(client, jwt), asked, lookups.at(-1)]).toEqual([true, 2, 'miss'])
  })

  it('are asked for again when a new one appears, for all who wait, and not for made-up ones', async () => {
    answers = [keySetOf(one), keySetOf(one, two)]
    expect(await verifies(client, await sign(one))).toBe(true)
    now = minute
    const jwt = await sign(two)
    const all = await Promise.all(Array.from({ length: 20 }, () => verifies(client, jwt)))
    expect([all.every(Boolean), asked]).toEqual([true, 2])
    const madeUp = await sign(one, { kid: 'x' })
    for (let times = 0; times < 20; times += 1) expect(await verifies(client, madeUp)).toBe(false)
    expect(asked).toBe(2)
    now += 30_000
    for (let times = 0; times < 20; times += 1) expect(await verifies(client, madeUp)).toBe(false)
    expect(asked).toBe(3)
  })

  it('can be replaced by a client that names none of them', async () => {
    answers = [keySetOf(one), keySetOf(two)]
    expect(await verifies(client, await sign(one, {}))).toBe(true)
    now = minute
    expect(await verifies(client, await sign(two, {}))).toBe(true)
    expect(await verifies(client, await sign(one, {}))).toBe(false)
  })

  it('stay in use for an hour while they cannot be had, and are asked for every half minute', async () => {
    answers = [keySetOf(one), 'no JSON']
    const jwt = await sign(one)
    expect(await verifies(client, jwt)).toBe(true)
    now = 59 * minute
    expect([await verifies(client, jwt), asked]).toEqual([true, 2])
    expect(lookups).toEqual(['miss', 'miss', 'error'])
    expect([await verifies(client, jwt), asked]).toEqual([true, 2])
    now = 60 * minute
    expect([await verifies(client, jwt), asked]).toEqual([false, 3])
    answers = [keySetOf(one)]
    expect([await verifies(client, jwt), asked]).toEqual([false, 3])
    now += 30_000
    expect([await verifies(client, jwt), asked]).toEqual([true, 4])
  })

  it.each(['', 'null', '[]', '{}', '{"keys":1}', '{"keys":[1]}', '{"keys":[{}]}'])(
    'are none when the answer is %j',
    async (answer) => {
      answers = [answer]
      expect(await verifies(client, await sign(one))).toBe(false)
      expect(lookups).toEqual(['miss', 'error'])
    },
  )

  it('belong to one client and one address', async () => {
    answers = [keySetOf(one), keySetOf(two)]
    const jwt = await sign(one)
    expect(await verifies(client, jwt)).toBe(true)
    expect(await verifies({ ...client, clientId: 'other' }, jwt)).toBe(false)
    expect(await verifies({ ...client, jwksUri: 'https://moved.example.test/' }, jwt)).toBe(false)
    expect(asked).toBe(3)
  })
})
