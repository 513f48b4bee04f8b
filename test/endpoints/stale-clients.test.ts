/** A replica that has not heard of a change of a client: its cache holds the old one, the rows that statements lock do not. */
import { eq } from 'drizzle-orm'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients } from '#/database/schema/clients.ts'
import {
  editClient,
  regenerateClientSecret,
  setClientStatus,
} from '#/domain/access-revocation/edit-clients.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { findClient, type NewClient, versionOf } from '#/domain/clients/clients.ts'
import { deviceCodeGrantType, tokenExchangeGrantType } from '#/protocol/grant-types.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { answerDevice, obtainCode, postToken, redeemCode } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'

const api = 'https://orders.example.test/api'
const mail = 'urn:example:mail'
const hour = 3600

let app: TestApp
let deaf: TestApp
beforeAll(async () => {
  const settings = {
    CLIENT_CACHE_TTL: '1h',
    JWT_EXPIRATION: '1h',
    JWT_EXPIRATION_JITTER: '0s',
    TOKEN_PROFILE_SHORT_ACCESS_TTL: '2m',
  }
  app = await startTestApp({ settings })
  deaf = await startTestApp({ settings, replicaOf: app, deaf: true })
})
afterAll(async () => {
  await deaf.close()
  await app.close()
})

interface Answer {
  readonly access_token: string
  readonly refresh_token: string
  readonly device_code: string
  readonly user_code: string
  readonly scope: string
  readonly expires_in: number
}

const read = async (response: Response | Promise<Response>) =>
  (await (await response).json()) as Answer

const by = () => ({ origin: systemOrigin, now: new Date() })

interface Party {
  readonly id: string
  readonly secret: string
}

const shown = ({ id, secret }: Party) => ({ client_id: id, client_secret: secret })

async function addParty(more: Partial<NewClient> = {}): Promise<Party> {
  const { client, secret = '' } = await addClient(app.database.db, {
    type: 'confidential',
    grantTypes: [
      'authorization_code',
      'refresh_token',
      'client_credentials',
      deviceCodeGrantType,
      tokenExchangeGrantType,
    ],
    scope: 'openid profile offline_access read write',
    allowedResources: [api, mail],
    servedResources: [api],
    ...more,
  })
  return { id: client.clientId, secret }
}

/** The replica has dealt with the client a moment ago. */
const warm = async (party: Party) => {
  const answer = await postToken(deaf, { ...shown(party), grant_type: 'refresh_token' })
  expect(await answer.json()).toMatchObject({ error: 'invalid_request' })
}

async function signIn() {
  const user = await addUser(app.database.db)
  const browser = openBrowser(app)
  await browser.signIn(user.username)
  return browser
}

const postDevice = (at: TestApp, party: Party) =>
  at.request('/oauth/device/code', {
    method: 'POST',
    body: new URLSearchParams(shown(party)),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

type Fields = Record<string, string>

/** Each way to a token: what a client has, for which it is given one. */
const ways: Readonly<Record<string, (party: Party) => Promise<Fields>>> = {
  async 'an authorization code'({ id }) {
    const code = await obtainCode(await signIn(), id, { scope: 'openid read' })
    const redirect_uri = 'https://app.example.test/callback'
    return {
      grant_type: 'authorization_code',
      code,
      redirect_uri,
      code_verifier: 'v'.repeat(43),
    }
  },
  async 'a refresh token'(party) {
    const code = await obtainCode(await signIn(), party.id, { scope: 'openid read offline_access' })
    const answer = await read(redeemCode(app, party.id, code, shown(party)))
    return { grant_type: 'refresh_token', refresh_token: answer.refresh_token }
  },
  async 'a device code'(party) {
    const { device_code, user_code } = await read(postDevice(app, party))
    await answerDevice(await signIn(), user_code, 'approve')
    return { grant_type: deviceCodeGrantType, device_code }
  },
  async 'a token to exchange'(party) {
    const asked = { scope: 'openid read', resource: api }
    const code = await obtainCode(await signIn(), party.id, asked)
    const answer = await read(redeemCode(app, party.id, code, shown(party)))
    return {
      grant_type: tokenExchangeGrantType,
      subject_token: answer.access_token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    }
  },
  'nothing but itself': async () => ({ grant_type: 'client_credentials' }),
}
const all = Object.entries(ways)

/** As an operator's form does. */
async function edit({ id }: Party, next: Partial<NewClient>) {
  const { db } = app.database
  const client = await findClient(db, id)
  if (!client) throw new Error('there is no such client')
  const { tokenEndpointAuthMethod } = client
  const change = {
    clientId: id,
    seen: versionOf(client),
    next: { tokenEndpointAuthMethod, ...next },
  }
  expect(await editClient(db, change, by())).toMatchObject({ client: next })
}

describe('a client whose secret was replaced', () => {
  it.each(all)(
    'is refused with the old one, having %s, which the new one still turns into tokens',
    async (_, have) => {
      const party = await addParty()
      const fields = await have(party)
      await warm(party)
      const replaced = await regenerateClientSecret(app.database.db, party.id, by())
      const refused = await postToken(deaf, { ...fields, ...shown(party) })
      expect([refused.status, await refused.json()]).toMatchObject([
        401,
        { error: 'invalid_client' },
      ])
      const now = { ...party, secret: replaced?.secret ?? '' }
      expect((await postToken(deaf, { ...fields, ...shown(now) })).status).toBe(200)
    },
  )

  it('gets no device code with the old one', async () => {
    const party = await addParty()
    await warm(party)
    await regenerateClientSecret(app.database.db, party.id, by())
    expect((await postDevice(deaf, party)).status).toBe(401)
  })
})

describe('a client that has changed', () => {
  it.each(all.filter(([name]) => name !== 'nothing but itself'))(
    'is given what it may have now, having %s',
    async (name, have) => {
      const party = await addParty()
      const fields = await have(party)
      await warm(party)
      await edit(party, { tokenProfile: 'short' })
      const answer = await postToken(deaf, { ...fields, ...shown(party) })
      expect([name, answer.status, (await read(answer)).expires_in]).toEqual([name, 200, 120])
    },
  )

  it('gets no scope or resource that was taken from it, asked for or not', async () => {
    const party = await addParty()
    await warm(party)
    await edit(party, { scope: 'openid profile offline_access read', allowedResources: [api] })
    const asked = { ...shown(party), ...(await ways['nothing but itself']?.(party)) }
    const answer = await read(postToken(deaf, asked))
    expect([answer.scope, answer.expires_in > hour / 2]).toEqual(['read', true])
    for (const [more, error] of [
      [{ scope: 'write' }, 'invalid_scope'],
      [{ resource: mail }, 'invalid_target'],
    ] as const) {
      const fresh = await addParty()
      await warm(fresh)
      await edit(fresh, { scope: 'openid profile offline_access read', allowedResources: [api] })
      const refused = await postToken(deaf, { ...asked, ...shown(fresh), ...more })
      expect(await refused.json()).toMatchObject({ error })
    }
  })

  it('exchanges a token for no more than it may have now', async () => {
    const shop = await addParty()
    const service = await addParty()
    const fields = { ...(await ways['a token to exchange']?.(shop)), scope: 'openid read' }
    await warm(service)
    await edit(service, { scope: 'openid offline_access', servedResources: [api] })
    const refused = await postToken(deaf, { ...fields, ...shown(service) })
    expect(await refused.json()).toMatchObject({ error: 'invalid_scope' })
    const { scope: _, ...narrow } = fields
    const answer = await read(postToken(deaf, { ...narrow, ...shown(service) }))
    expect(decodeJwt(answer.access_token)).toMatchObject({ scope: 'openid', client_id: service.id })
  })

  it('gets device codes for what it may have now', async () => {
    const party = await addParty()
    await warm(party)
    await edit(party, { scope: 'openid read' })
    const { user_code } = await read(postDevice(deaf, party))
    const page = await (await signIn()).submit('/device', '/device/verify', { user_code })
    expect(await page.text()).not.toContain('write')
  })

  it('gets nothing when it was switched off, or changed by hand', async () => {
    const party = await addParty()
    const asked = { ...shown(party), grant_type: 'client_credentials' }
    await warm(party)
    const { db } = app.database
    await db.update(clients).set({ scope: 'read' }).where(eq(clients.clientId, party.id))
    expect((await read(postToken(deaf, asked))).scope).toBe('read')
    await setClientStatus(db, { clientId: party.id, status: 'inactive' }, by())
    expect((await postToken(deaf, asked)).status).toBe(401)
  })
})

describe('a client that changes while its tokens are made', () => {
  it('never gets more than the row that was locked allows', async () => {
    const { db } = app.database
    const party = await addParty()
    const wide = 'openid profile offline_access read write'
    for (let round = 0; round < 20; round += 1) {
      const answers = Array.from({ length: 8 }, () =>
        postToken(deaf, { ...shown(party), grant_type: 'client_credentials' }),
      )
      const narrowed = edit(party, { scope: 'openid read' })
      await Promise.all([...answers, narrowed])
      const live = await db.query.tokens.findMany({
        where: (token, { and, isNull }) =>
          and(eq(token.clientId, party.id), isNull(token.revokedAt)),
      })
      expect(live.map(({ scope }) => scope).filter((scope) => scope !== 'read')).toEqual([])
      await edit(party, { scope: wide })
    }
  })
})
