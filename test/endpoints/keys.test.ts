/** Signing keys as clients and operators meet them: the key set, what is signed with it, and the series that tell of it. */
import { createHash } from 'node:crypto'
import { eq } from 'drizzle-orm'
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JSONWebKeySet,
  jwtVerify,
  SignJWT,
} from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cacheChannel } from '#/database/cache-channel.ts'
import { notify } from '#/database/client.ts'
import { signingKeys } from '#/database/schema/signing-keys.ts'
import { loadKeySet } from '#/domain/keys/keys.ts'
import { prepareKeys } from '#/domain/keys/prepare-keys.ts'
import { type SigningAlgorithm, signingAlgorithms } from '#/protocol/vocabulary.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { openTestDatabase } from '../support/database.ts'
import { obtainTokens } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'
import { movedBetween } from '../support/prometheus.ts'

const hour = 3_600_000
const day = 24 * hour

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ settings: { CLIENT_CACHE_TTL: '1h' } })
})
afterAll(() => app.close())

async function obtain(idTokenSignedResponseAlg: SigningAlgorithm = 'ES256') {
  const user = await addUser(app.database.db)
  const { client } = await addClient(app.database.db, { idTokenSignedResponseAlg })
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  return obtainTokens(app, browser, client.clientId)
}

const keySet = async () =>
  (await (await app.request('/.well-known/jwks.json')).json()) as JSONWebKeySet

const statusOf = async (token: string, replica = app) => {
  const headers = { authorization: `Bearer ${token}` }
  return (await replica.request('/oauth/userinfo', { headers })).status
}

const forgetKeys = () => app.database.db.transaction((tx) => notify(tx, cacheChannel, 'keys'))

describe('the key set', () => {
  it('has a key for every algorithm that discovery lists for ID tokens', async () => {
    for (const document of ['openid-configuration', 'oauth-authorization-server']) {
      const metadata = await (await app.request(`/.well-known/${document}`)).json()
      expect(metadata).toMatchObject({ id_token_signing_alg_values_supported: signingAlgorithms })
    }
    const { keys } = await keySet()
    expect(keys.map(({ alg }) => alg)).toEqual(signingAlgorithms)
    for (const key of keys) expect(key).toMatchObject({ use: 'sig', kid: expect.any(String) })
  })

  it.each(signingAlgorithms)(
    'verifies an ID token in the %s that its client has registered, and its at_hash',
    async (algorithm) => {
      const { id_token, access_token } = await obtain(algorithm)
      const keys = createLocalJWKSet(await keySet())
      const { payload, protectedHeader } = await jwtVerify(id_token, keys)
      expect(protectedHeader.alg).toBe(algorithm)
      // OIDC Core §3.1.3.6; Ed25519 hashes with SHA-512 (RFC 8032 §5.1).
      const hash = algorithm === 'EdDSA' ? 'sha512' : 'sha256'
      const digest = createHash(hash).update(access_token).digest()
      expect(payload['at_hash']).toBe(digest.subarray(0, digest.length / 2).toString('base64url'))
      expect((await jwtVerify(access_token, keys)).protectedHeader.alg).toBe('ES256')
    },
  )
})

describe('an access token that was accepted before', () => {
  it('is refused once it has expired', async () => {
    const { access_token } = await obtain()
    expect(await statusOf(access_token)).toBe(200)
    app.advance(hour)
    const before = await app.samples()
    expect(await statusOf(access_token)).toBe(401)
    expect(movedBetween(before, await app.samples(), /^oauth_token_validation_total/)).toEqual({
      'oauth_token_validation_total{result="expired"}': 1,
    })
  })

  it('is refused once its key is gone', async () => {
    const { access_token } = await obtain()
    expect(await statusOf(access_token)).toBe(200)
    const kid = decodeProtectedHeader(access_token).kid ?? ''
    const [row] = await app.database.db
      .delete(signingKeys)
      .where(eq(signingKeys.kid, kid))
      .returning()
    await forgetKeys()
    await expect.poll(() => statusOf(access_token)).toBe(401)
    if (row) await app.database.db.insert(signingKeys).values(row)
    await forgetKeys()
    await expect.poll(() => statusOf(access_token)).toBe(200)
  })
})

describe('a key that this replica has not heard of', () => {
  it('is looked up when a token names it; made-up names cost no more than that one look', async () => {
    const { access_token } = await obtain()
    const replica = await startTestApp({
      settings: { CLIENT_CACHE_TTL: '1h' },
      replicaOf: app,
    })
    replica.advance(app.now().getTime() - Date.now())
    expect(await statusOf(access_token, replica)).toBe(200)
    const elsewhere = await openTestDatabase()
    const secrets = app.config.sessions.secrets ?? []
    await prepareKeys(elsewhere.db, secrets, app.now())
    const options = { secrets, algorithm: 'ES256', clock: app.now } as const
    const theirs = (await loadKeySet(elsewhere.db, options)).signing('ES256')
    const signed = (kid: string) =>
      new SignJWT(decodeJwt(access_token))
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
        .sign(theirs.privateKey)
    await app.database.db
      .insert(signingKeys)
      .values(await elsewhere.db.select().from(signingKeys).where(eq(signingKeys.kid, theirs.kid)))
    await elsewhere.close()

    const before = await replica.samples()
    expect(await statusOf(await signed(theirs.kid), replica)).toBe(200)
    const made = await Promise.all(Array.from({ length: 30 }, (_, n) => signed(`made-up-${n}`)))
    expect(await Promise.all(made.map((token) => statusOf(token, replica)))).toEqual(
      made.map(() => 401),
    )
    const loads = movedBetween(before, await replica.samples(), /^cache_misses_total.*signing_keys/)
    expect(loads).toEqual({ 'cache_misses_total{cache_name="signing_keys"}': 1 })
    await replica.close()
    await app.database.db.delete(signingKeys).where(eq(signingKeys.kid, theirs.kid))
  })
})

describe('rotation', () => {
  const gauges = async (name: string) => {
    const samples = await app.samples()
    return signingAlgorithms.map((algorithm) =>
      Math.round(
        ((samples.get(`authgate_signing_key_${name}_seconds{algorithm="${algorithm}"}`) ??
          Number.NaN) *
          1000) /
          hour,
      ),
    )
  }
  const expectGauges = async (age: number, rotation: number, publication: number) => {
    expect(await gauges('age')).toEqual([age, age, age])
    expect(await gauges('next_rotation')).toEqual([rotation, rotation, rotation])
    expect(await gauges('next_publication')).toEqual([publication, publication, publication])
  }
  /** What one turn of this replica's sweeper counts. */
  const turn = async (replica: TestApp) => {
    const before = await replica.samples()
    await replica.sweep()
    return movedBetween(before, await replica.samples(), /^authgate_signing_keys_events_total/)
  }
  const events = (moved: Record<string, number>) =>
    Object.fromEntries(
      Object.entries(moved).map(([event, n]) => [
        `authgate_signing_keys_events_total{event="${event}"}`,
        n,
      ]),
    )

  it('is foretold by the gauges, and counted by the one replica that does it', async () => {
    const replica = await startTestApp({ replicaOf: app })
    const [, , { kid: first } = {}] = (await keySet()).keys
    const elapsed = app.now().getTime() - Date.now()
    replica.advance(elapsed)
    const turnClocks = (ms: number) => {
      app.advance(ms)
      replica.advance(ms)
    }
    // From here on in whole hours since the keys were made.
    turnClocks(10 * day - elapsed)
    await expectGauges(240, 1920, 1896)
    expect(await turn(app)).toEqual({})
    turnClocks(79 * day + 2 * hour)
    await expectGauges(2138, 22, -2)
    expect(await turn(replica)).toEqual(events({ created: 3 }))
    expect(await turn(app)).toEqual({})
    await expect.poll(async () => (await keySet()).keys.length).toBe(6)
    await expectGauges(2138, 24, 2160)

    turnClocks(day + hour)
    await expectGauges(1, 2159, 2135)
    expect(decodeProtectedHeader((await obtain('EdDSA')).id_token).kid).not.toBe(first)
    expect(await turn(app)).toEqual(events({ retired: 3 }))
    turnClocks(2 * day)
    expect(await turn(replica)).toEqual(events({ deleted: 3 }))
    await expect.poll(async () => (await keySet()).keys.length).toBe(3)
    expect((await keySet()).keys.map(({ kid }) => kid)).not.toContain(first)
    turnClocks(100 * day)
    const [overdue] = await gauges('next_rotation')
    expect(overdue).toBeLessThan(0)
    await replica.close()
  })
})
