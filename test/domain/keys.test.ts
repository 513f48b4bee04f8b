/** Signing keys over their whole life: the clock is turned, replicas disagree about the time and about what is new. */
import { eq } from 'drizzle-orm'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { serverSecrets } from '#/database/schema/server-secrets.ts'
import { signingKeys } from '#/database/schema/signing-keys.ts'
import { type KeySet, loadKeySet, type OpenedKeys } from '#/domain/keys/keys.ts'
import { prepareKeys } from '#/domain/keys/prepare-keys.ts'
import {
  deleteExpiredKeys,
  type KeyRotation,
  publishNextKey,
  retireKeys,
} from '#/domain/keys/rotate-keys.ts'
import { signJwt } from '#/domain/keys/sign.ts'
import { signingAlgorithms } from '#/protocol/vocabulary.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

const secrets = ['the session secret of 32 characters or more']
const rotation: KeyRotation = {
  secrets,
  intervalMs: 30 * day,
  publishAheadMs: day,
  tokenLifetimeMs: day,
}

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.close())

/** The time of the world. */
let now = new Date()
beforeEach(async () => {
  now = new Date('2026-01-01T00:00:00Z')
  await database.db.delete(signingKeys)
  await database.db.delete(serverSecrets)
})

const later = (ms: number, from = now) => new Date(from.getTime() + ms)

/** A replica whose clock is wrong by so much. */
const replica = (skewMs = 0) => {
  const clock = () => later(skewMs)
  return {
    load: () => loadKeySet(database.db, { secrets, algorithm: 'ES256', clock }),
    /** What its sweeper does about keys. */
    async turn(): Promise<Done> {
      let created = 0
      for (const algorithm of signingAlgorithms)
        created += await publishNextKey(database.db, algorithm, { rotation, now: clock() })
      return {
        created,
        retired: await retireKeys(database.db, { rotation, now: clock() }),
        deleted: await deleteExpiredKeys(database.db, clock()),
      }
    },
  }
}

interface Done {
  readonly created: number
  readonly retired: number
  readonly deleted: number
}

interface Signed {
  readonly token: string
  readonly kid: string
  readonly expiresAt: Date
}

async function issue(keys: KeySet, algorithm = keys.default): Promise<Signed> {
  const expiresAt = later(rotation.tokenLifetimeMs)
  const claims = { sub: 'somebody', exp: expiresAt.getTime() / 1000 }
  const token = await signJwt(keys, { algorithm, typ: 'JWT' }, claims)
  return { token, kid: decodeProtectedHeader(token).kid ?? '', expiresAt }
}

/** As a client or an API does it that has fetched the key set. */
const verify = (token: string, { keys }: KeySet['jwks']) =>
  jwtVerify(token, createLocalJWKSet({ keys } as JSONWebKeySet), { currentDate: now })

/** Every token that has not expired can be verified; of tokens long expired no key is left. */
async function expectKeysFor(signed: readonly Signed[], keys: KeySet) {
  const needed = signed.filter(({ expiresAt }) => expiresAt > now)
  for (const { token, kid } of needed) {
    await verify(token, keys.jwks)
    expect(keys.byId.has(kid)).toBe(true)
  }
  const lately = signed.filter(({ expiresAt }) => later(day, expiresAt) > now)
  const idle = [...keys.byId.values()].filter(
    ({ algorithm, kid, activatesAt }) =>
      algorithm === keys.default && activatesAt <= now && !lately.some((one) => one.kid === kid),
  )
  expect(idle).toEqual([])
}

const kidsOf = ({ jwks }: KeySet) => jwks.keys.map(({ kid }) => kid)

describe('the first start', () => {
  it('makes one key of each algorithm, and each signs what the published half verifies', async () => {
    expect(await prepareKeys(database.db, secrets, now)).toEqual({ created: 3, resealed: 0 })
    expect(await prepareKeys(database.db, secrets, now)).toEqual({ created: 0, resealed: 0 })
    const keys = await replica().load()
    expect(keys.jwks.keys.map(({ alg, use, kty, crv }) => ({ alg, use, kty, crv }))).toEqual([
      { alg: 'ES256', use: 'sig', kty: 'EC', crv: 'P-256' },
      { alg: 'RS256', use: 'sig', kty: 'RSA', crv: undefined },
      { alg: 'EdDSA', use: 'sig', kty: 'OKP', crv: 'Ed25519' },
    ])
    expect(JSON.stringify(keys.jwks)).not.toMatch(/"(d|p|q|dp|dq|qi)":/)
    expect(Buffer.from(keys.jwks.keys[1]?.n ?? '', 'base64url')).toHaveLength(256)
    for (const algorithm of signingAlgorithms) {
      const { token } = await issue(keys, algorithm)
      expect((await verify(token, keys.jwks)).protectedHeader.alg).toBe(algorithm)
      const [head, , signature] = token.split('.')
      const other = Buffer.from('{"sub":"somebody else"}').toString('base64url')
      await expect(verify(`${head}.${other}.${signature}`, keys.jwks)).rejects.toThrow()
    }
  })

  it('keeps no private key in clear', async () => {
    await prepareKeys(database.db, secrets, now)
    const stored = JSON.stringify(await database.db.select().from(signingKeys))
    expect(stored).not.toMatch(/"d":|PRIVATE/)
  })

  it('signs even where the clock lags behind the one that made the key', async () => {
    await prepareKeys(database.db, secrets, now)
    expect((await issue(await replica(-minute).load())).kid).toBe(
      (await issue(await replica().load())).kid,
    )
  })
})

describe('rotation', () => {
  it('goes on for months without a token that somebody cannot verify', async () => {
    await prepareKeys(database.db, secrets, now)
    const replicas = [replica(), replica(-4 * minute), replica(4 * minute)]
    const loadAll = () => Promise.all(replicas.map(({ load }) => load()))
    const signed: Signed[] = []
    const done: Done[] = []
    /** Loaded half a day ago by each replica: no news of any change has reached it since. */
    let stale = await loadAll()
    for (let step = 0; step < 230; step++) {
      now = later(12 * hour)
      // What clients have in their caches was fetched before anything that happens in this step.
      const cached = (await replica().load()).jwks
      for (const { turn } of replicas) done.push(await turn())
      const fresh = await loadAll()
      for (const keys of [...stale, ...fresh]) {
        const one = await issue(keys)
        await verify(one.token, cached)
        signed.push(one)
      }
      for (const keys of fresh) await expectKeysFor(signed, keys)
      stale = fresh
    }
    // 115 days: the first key signed, and one more every 30 days.
    expect(new Set(signed.map(({ kid }) => kid)).size).toBe(4)
    const total = (what: keyof Done) => done.reduce((sum, turn) => sum + turn[what], 0)
    expect([total('created'), total('retired'), total('deleted')]).toEqual([9, 9, 9])
  }, 60_000)

  it('publishes the next key before it signs, and switches by the clock of the call', async () => {
    await prepareKeys(database.db, secrets, now)
    const { load, turn } = replica()
    const first = (await load()).signing('ES256')
    now = later(29 * day - 1)
    expect(await turn()).toEqual({ created: 0, retired: 0, deleted: 0 })
    now = later(1)
    expect(await turn()).toEqual({ created: 3, retired: 0, deleted: 0 })
    const keys = await load()
    const [, next] = keys.jwks.keys.filter(({ alg }) => alg === 'ES256')
    expect(next?.kid).not.toBe(first.kid)
    now = later(day - 1)
    expect(keys.signing('ES256').kid).toBe(first.kid)
    now = later(1)
    expect(keys.signing('ES256').kid).toBe(next?.kid)
  })

  it('keeps a retired key until the last token under it has expired, and then no longer', async () => {
    await prepareKeys(database.db, secrets, now)
    const { load, turn } = replica()
    now = later(29 * day)
    await turn()
    now = later(day - 1000)
    const last = await issue(await load())
    now = later(1000)
    expect(await turn()).toEqual({ created: 0, retired: 3, deleted: 0 })
    now = later(day - 2000)
    await turn()
    await verify(last.token, (await load()).jwks)
    now = later(2 * hour)
    // Gone from the set at its time, whether or not somebody has swept.
    expect(kidsOf(await load())).not.toContain(last.kid)
    expect(await turn()).toEqual({ created: 0, retired: 0, deleted: 3 })
    expect(await database.db.select().from(signingKeys)).toHaveLength(3)
  })

  it('publishes first and waits, however long overdue, when nobody was there to rotate', async () => {
    await prepareKeys(database.db, secrets, now)
    const { load, turn } = replica()
    const { kid } = (await load()).signing('ES256')
    now = later(400 * day)
    await turn()
    const keys = await load()
    expect(keys.signing('ES256').kid).toBe(kid)
    now = later(rotation.publishAheadMs)
    expect(keys.signing('ES256').kid).not.toBe(kid)
    await turn()
    expect(kidsOf(await load())).toContain(kid)
  })

  it('makes one key when many replicas rotate at once', async () => {
    await prepareKeys(database.db, secrets, now)
    now = later(29 * day)
    const made = await Promise.all(
      Array.from({ length: 10 }, () => publishNextKey(database.db, 'EdDSA', { rotation, now })),
    )
    expect(made.reduce((sum, n) => sum + n)).toBe(1)
    expect(kidsOf(await replica().load())).toHaveLength(4)
  })

  it('makes one key at once where an operator has deleted all of them', async () => {
    await prepareKeys(database.db, secrets, now)
    await database.db.delete(signingKeys).where(eq(signingKeys.algorithm, 'EdDSA'))
    const made = await Promise.all(
      Array.from({ length: 10 }, () => publishNextKey(database.db, 'EdDSA', { rotation, now })),
    )
    expect(made.reduce((sum, n) => sum + n)).toBe(1)
    const keys = await replica().load()
    await verify((await issue(keys, 'EdDSA')).token, keys.jwks)
  })

  it('makes one key at once where an operator has left only one that had retired', async () => {
    await prepareKeys(database.db, secrets, now)
    const { load, turn } = replica()
    const first = (await load()).signing('ES256').kid
    now = later(29 * day)
    await turn()
    now = later(day + 2 * hour)
    await turn()
    const leaked = (await load()).signing('ES256').kid
    expect(leaked).not.toBe(first)
    await database.db.delete(signingKeys).where(eq(signingKeys.kid, leaked))
    expect(await turn()).toMatchObject({ created: 1 })
    expect([first, leaked]).not.toContain((await load()).signing('ES256').kid)
  })

  it('lets the published key sign at once where an operator has deleted the one before', async () => {
    await prepareKeys(database.db, secrets, now)
    const { load, turn } = replica()
    const { kid } = (await load()).signing('ES256')
    now = later(29 * day)
    await turn()
    await database.db.delete(signingKeys).where(eq(signingKeys.kid, kid))
    const keys = await load()
    expect((await issue(keys)).kid).not.toBe(kid)
  })
})

describe('SESSION_SECRET', () => {
  const next = 'the new session secret of 32 characters or more'
  const open = (sealedUnder: readonly string[], opened?: OpenedKeys) =>
    loadKeySet(database.db, {
      secrets: sealedUnder,
      algorithm: 'ES256',
      clock: () => now,
      ...(opened && { opened }),
    })

  it('may change: everything is sealed anew under the newest, and stays what it was', async () => {
    await prepareKeys(database.db, secrets, now)
    const before = await open(secrets)
    const { token } = await issue(before)
    expect(await prepareKeys(database.db, [next, ...secrets], now)).toEqual({
      created: 0,
      resealed: 3,
    })
    expect(await prepareKeys(database.db, [next], now)).toEqual({ created: 0, resealed: 0 })
    const after = await open([next])
    expect(after.jwks).toEqual(before.jwks)
    expect(after.subjectKey).toEqual(before.subjectKey)
    expect(after.subjectKey).toHaveLength(32)
    await verify(token, after.jwks)
    await expect(open(secrets)).rejects.toThrow('none of the secrets opens the signing keys')
  })

  it('that opens nothing is refused with a sentence, and changes nothing', async () => {
    await prepareKeys(database.db, secrets, now)
    const rows = await database.db.select().from(signingKeys)
    await expect(prepareKeys(database.db, [next], now)).rejects.toThrow(
      'SESSION_SECRET: none of the secrets opens the signing keys in this database; add the one that sealed them after the new one: new,old.',
    )
    expect(await database.db.select().from(signingKeys)).toEqual(rows)
  })

  it('of a replica that starts must not stop those that still run on the old one', async () => {
    await prepareKeys(database.db, secrets, now)
    const opened: OpenedKeys = { keys: new Map() }
    const before = await open(secrets, opened)
    await prepareKeys(database.db, [next, ...secrets], now)
    const after = await open(secrets, opened)
    expect(after.subjectKey).toEqual(before.subjectKey)
    await verify((await issue(after)).token, before.jwks)
  })

  it('guards each kind of secret with a key of its own, so that one row cannot pose as another', async () => {
    await prepareKeys(database.db, secrets, now)
    const [key] = await database.db.select().from(signingKeys)
    await database.db.update(serverSecrets).set({ sealedValue: key?.sealedPrivateJwk ?? '' })
    await expect(open(secrets)).rejects.toThrow()
  })
})
