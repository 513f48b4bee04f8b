import { createHmac } from 'node:crypto'
import { exportJWK, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { type DpopExpectation, dpopSigningAlgorithms, verifyDpopProof } from '#/protocol/dpop.ts'
import { createDpopNonces } from '#/protocol/dpop-nonces.ts'
import { sha256 } from '#/protocol/secrets.ts'
import {
  createKey,
  inSeconds,
  type Proof,
  type ProofKey,
  signDpopProof,
} from '../../support/proofs.ts'

const now = new Date('2026-03-01T12:00:00.500Z')
const url = 'https://id.example.test/oauth/token'
const expected: DpopExpectation = { method: 'POST', url, now }

let key: ProofKey
beforeAll(async () => {
  key = await createKey()
})

const prove = (more: Partial<Proof> = {}, by = key) =>
  signDpopProof(by, { htm: 'POST', htu: url, now, ...more })

const resultOf = async (proof: string, more: Partial<DpopExpectation> = {}) =>
  (await verifyDpopProof(proof, { ...expected, ...more })).result

describe('a DPoP proof', () => {
  it('tells the thumbprint of its key, its id, and until when the id has to be remembered', async () => {
    const verified = await verifyDpopProof(await prove({ claims: { jti: 'once' } }), expected)
    expect(verified).toEqual({
      result: 'valid',
      proof: { jkt: key.jkt, jti: 'once', expiresAt: new Date('2026-03-01T12:01:00Z') },
    })
  })

  it.each(dpopSigningAlgorithms)('may be signed with %s', async (alg) => {
    expect(await resultOf(await prove({}, await createKey(alg)))).toBe('valid')
  })

  const sizes: [string, number, number, boolean][] = [
    ['of 2047 bits', 2047, 3, false],
    ['of 2048 bits', 2048, 3, true],
    ['of 4096 bits', 4096, 4, true],
    ['of 4097 bits', 4097, 3, false],
    ['of 16384 bits', 16_384, 3, false],
    ['with an exponent of 40 bits', 2048, 5, false],
  ]
  it.each(sizes)(
    'is looked at or not before its RSA key %s costs anything',
    async (_, bits, exponent, isLookedAt) => {
      const modulus = Buffer.alloc(Math.ceil(bits / 8), 0xff)
      modulus[0] = 2 ** (((bits - 1) % 8) + 1) - 1
      const jwk = {
        kty: 'RSA',
        n: modulus.toString('base64url'),
        e: Buffer.alloc(exponent, 1).toString('base64url'),
      }
      const header = { typ: 'dpop+jwt', alg: 'PS256', jwk }
      const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
      const proof = `${encode(header)}.${encode({ jti: 'x' })}.${modulus.toString('base64url')}`
      const verified = await verifyDpopProof(proof, expected)
      const cause = verified.result === 'invalid' ? String(verified.cause) : verified.result
      expect(cause.includes('too small or too large')).toBe(!isLookedAt)
    },
  )

  const addresses: [string, string][] = [
    ['a query and a fragment, which do not count', `${url}?a=b#c`],
    ['scheme and host in capitals', 'HTTPS://ID.Example.test/oauth/token'],
    ['the default port', 'https://id.example.test:443/oauth/token'],
    ['dot segments', 'https://id.example.test/x/../oauth/token'],
  ]
  it.each(addresses)('may name its address with %s', async (_, htu) => {
    expect(await resultOf(await prove({ htu }))).toBe('valid')
  })

  it.each([-60, -30, 30, 60])('may come from %d seconds beside our clock', async (offset) => {
    const claims = { iat: inSeconds(now, offset) + (offset < 0 ? 1 : 0) }
    expect(await resultOf(await prove({ claims }))).toBe('valid')
  })

  const claims: [string, Record<string, unknown>][] = [
    ['no jti', { jti: undefined }],
    ['an empty jti', { jti: '' }],
    ['a jti that is a number', { jti: 1 }],
    ['no method', { htm: undefined }],
    ['another method', { htm: 'GET' }],
    ['the method in small letters', { htm: 'post' }],
    ['no address', { htu: undefined }],
    ['an address that is none', { htu: 'token' }],
    ['another path', { htu: 'https://id.example.test/oauth/revoke' }],
    ['another host', { htu: 'https://evil.test/oauth/token' }],
    ['another port', { htu: 'https://id.example.test:8443/oauth/token' }],
    ['another scheme', { htu: 'http://id.example.test/oauth/token' }],
    ['no iat', { iat: undefined }],
    ['an iat that is a text', { iat: '1772366400' }],
    ['an old iat', { iat: inSeconds(now, -60) }],
    ['an iat of the future', { iat: inSeconds(now, 61) }],
    ['a time before which it must not be used', { nbf: inSeconds(now, 60) }],
    ['an end that has passed by any clock', { exp: inSeconds(now, -31) }],
  ]
  it.each(claims)('is refused with %s', async (_, wrong) => {
    expect(await resultOf(await prove({ claims: wrong }))).toBe('invalid')
  })

  it('is refused with another type, none, or extensions nobody knows', async () => {
    for (const typ of ['jwt', 'at+jwt', undefined, 'dpop'])
      expect(await resultOf(await prove({ header: { typ } }))).toBe('invalid')
    const critical = await new SignJWT({ jti: 'x', htm: 'POST', htu: url, iat: inSeconds(now) })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: key.jwk, crit: ['x'], x: 1 })
      .sign(key.privateKey, { crit: { x: true } })
    expect(await resultOf(critical)).toBe('invalid')
  })

  it('is refused with no key, a private key, a shared key, or one that did not sign it', async () => {
    const other = await createKey()
    const keys = [
      undefined,
      'x',
      {},
      await exportJWK(key.privateKey),
      { ...key.jwk, d: '' },
      { kty: 'oct', k: 'c2VjcmV0' },
      other.jwk,
      { ...key.jwk, crv: 'P-384' },
      { ...key.jwk, x: 'AA' },
    ]
    for (const jwk of keys) expect(await resultOf(await prove({ header: { jwk } }))).toBe('invalid')
  })

  it('is refused unsigned, under a shared secret, changed, or as something that is no JWT', async () => {
    const proof = await prove()
    const [head = '', body = '', signature = ''] = proof.split('.')
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const hs = `${encode({ typ: 'dpop+jwt', alg: 'HS256', jwk: key.jwk })}.${body}`
    const wrong = [
      `${encode({ typ: 'dpop+jwt', alg: 'none', jwk: key.jwk })}.${body}.`,
      `${hs}.${createHmac('sha256', JSON.stringify(key.jwk)).update(hs).digest('base64url')}`,
      `${head}.${encode({ jti: 'x', htm: 'POST', htu: url, iat: inSeconds(now) })}.${signature}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      `${proof}, ${await prove()}`,
      `${proof},${proof}`,
      '',
      'x',
      '.'.repeat(8000),
    ]
    for (const one of wrong) expect(await resultOf(one)).toBe('invalid')
  })

  it('is bound to the access token it comes with', async () => {
    const accessToken = 'a.b.c'
    expect(await resultOf(await prove({ accessToken }), { accessToken })).toBe('valid')
    expect(await resultOf(await prove(), { accessToken })).toBe('invalid')
    expect(await resultOf(await prove({ accessToken: 'a.b.d' }), { accessToken })).toBe('invalid')
    const hex = { ath: Buffer.from(sha256(accessToken), 'base64url').toString('hex') }
    expect(await resultOf(await prove({ claims: hex }), { accessToken })).toBe('invalid')
  })

  describe('where we ask for nonces', () => {
    const nonces = createDpopNonces(['o'.repeat(32)])
    const nonce = nonces.current(now)

    it('has to carry one of ours, and is judged on everything else first', async () => {
      expect(await resultOf(await prove({ nonce }), { nonces })).toBe('valid')
      const old = nonces.current(new Date(now.getTime() - 300_000))
      for (const other of [undefined, 'x', old])
        expect(await resultOf(await prove({ nonce: other }), { nonces })).toBe('nonce_missing')
      const claims = { nonce: 1 }
      expect(await resultOf(await prove({ claims }), { nonces })).toBe('nonce_missing')
      expect(await resultOf(await prove({ htm: 'GET' }), { nonces })).toBe('invalid')
    })

    it('may come from any clock, and its id is remembered as long as its nonce', async () => {
      for (const offset of [-3600, 3600]) {
        const proof = await prove({ nonce, claims: { jti: 'x', iat: inSeconds(now, offset) } })
        expect(await verifyDpopProof(proof, { ...expected, nonces })).toMatchObject({
          proof: { expiresAt: new Date(now.getTime() + 450_000) },
        })
        const later = new Date(now.getTime() + 450_000)
        expect(await resultOf(proof, { nonces, now: later })).toBe('nonce_missing')
      }
      const claims = { iat: undefined }
      expect(await resultOf(await prove({ nonce, claims }), { nonces })).toBe('invalid')
    })
  })
})

describe('DPoP nonces', () => {
  const old = 'o'.repeat(32)
  const minutes = (count: number) => new Date(now.getTime() + count * 60_000)

  it('are known for two and a half minutes at least and five at most, also to a replica whose clock is behind', () => {
    const nonces = createDpopNonces([old])
    for (let seconds = 0; seconds < 300; seconds += 7) {
      const made = new Date(now.getTime() + seconds * 1000)
      const nonce = nonces.current(made)
      expect(nonces.isKnown(nonce, made)).toBe(true)
      expect(nonces.isKnown(nonce, new Date(made.getTime() + 149_000))).toBe(true)
      expect(nonces.isKnown(nonce, new Date(made.getTime() - 60_000))).toBe(true)
      expect(nonces.isKnown(nonce, new Date(made.getTime() + 300_000))).toBe(false)
    }
  })

  it('change with time and secret, fit a header, and cannot be made up', () => {
    const nonces = createDpopNonces([old])
    const other = createDpopNonces(['n'.repeat(32)])
    expect(nonces.current(now)).toMatch(/^[\w-]{43}$/)
    expect(nonces.current(minutes(3))).not.toBe(nonces.current(now))
    for (const nonce of [other.current(now), '', 'x', `${nonces.current(now)}x`])
      expect(nonces.isKnown(nonce, now)).toBe(false)
  })

  it('survive a change of the secret on every replica', () => {
    const changed = createDpopNonces(['n'.repeat(32), old])
    expect(changed.isKnown(createDpopNonces([old]).current(now), now)).toBe(true)
    expect(changed.current(now)).not.toBe(createDpopNonces([old]).current(now))
  })
})
