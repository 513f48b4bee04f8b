/** Apps that register themselves: some turn into others, some close down, some do not know how. */
import type { Answer } from '../browser.ts'
import { createAccount, decideOnApp, remove } from './admin.ts'
import { authenticated, expectError, postToken, refreshFields, revoked } from './apps.ts'
import { asked, publish } from './key-publishers.ts'
import { arrive, protocolError, signOut } from './people.ts'
import {
  leave,
  manage,
  noteClients,
  noteRegistration,
  postMetadata,
  type Registered,
  registerApp,
  registerPending,
} from './registration.ts'
import { letIn, type Scenario } from './scenarios.ts'
import { did, expectThat, nextAddress, nextName, type World } from './world.ts'

const redirectUri = 'https://newcomer.example.test/callback'
const newcomer = {
  client_name: 'Newcomer',
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token'],
}

const appOf = ({ client_id, client_secret = '' }: Registered) => ({
  clientId: client_id,
  secret: client_secret,
  redirectUri,
})

/** Tries to get in: an app that may do nothing is none. */
async function knock(world: World, registered: Registered, isApproved: boolean) {
  const answer = await postToken(world, appOf(registered), refreshFields('made-up'), 'basic')
  const error = isApproved ? 'invalid_grant' : 'invalid_client'
  expectError(answer, isApproved ? 400 : 401, error)
  authenticated(world, 'basic', isApproved ? 'success' : 'failure')
  if (isApproved) did(world, 'oauth_tokens_refreshed_total', { result: 'invalid' })
  protocolError(world, '/oauth/token', error)
}

/** Is approved, turns into somebody else, and is sent away for it. */
const turncoat: Scenario = async (world) => {
  const app = await registerPending(world, newcomer)
  await knock(world, app, false)
  await decideOnApp(world, app.client_id, 'approve')
  await knock(world, app, true)
  const looked = await manage(world, app, 'GET')
  expectThat(looked.status === 200, `reading a registration answered ${looked.status}`)
  const changed = await manage(world, app, 'PUT', {
    ...newcomer,
    client_name: nextName('Your bank'),
  })
  expectThat(changed.status === 200, `changing a registration answered ${changed.status}`)
  noteRegistration(world, 'updated')
  did(world, 'authgate_client_decisions_total', { decision: 'returned' })
  noteClients(world, 'active', -1)
  noteClients(world, 'pending', 1)
  await knock(world, app, false)
  await decideOnApp(world, app.client_id, 'reject')
  await leave(world, app, 'inactive')
}

/** Closes down, and all that people gave it ends. */
const shortLived: Scenario = async (world) => {
  const guest = await createAccount(world, 'guest')
  const browser = await arrive(world, guest)
  const registered = await registerApp(world, newcomer)
  const app = appOf(registered)
  const { family } = await letIn(world, guest, browser, app)
  await leave(world, registered)
  revoked(world, family, 'client_inactive')
  guest.consents.delete(app)
  did(world, 'oauth_consent_revoked_total', { actor: 'system' })
  did(world, 'authgate_consents_active', {}, -1)
  await signOut(world, guest, browser)
  await remove(world, guest)
}

function refused(world: World, answer: Answer, status: number, error: string) {
  expectError(answer, status, error)
  noteRegistration(world, error === 'invalid_token' ? 'unauthorized' : 'rejected_metadata')
  protocolError(world, '/oauth/register', error)
}

const mistakes: readonly (readonly [body: string, error: string])[] = [
  ['{', 'invalid_request'],
  ['{"redirect_uris":["http://newcomer.example.test/"]}', 'invalid_redirect_uri'],
  [JSON.stringify({ ...newcomer, scope: 'admin' }), 'invalid_client_metadata'],
  [JSON.stringify({ ...newcomer, jwks: {} }), 'invalid_client_metadata'],
]

/** Does not know what it may register, nor that one address may try five times a minute. */
const clumsy: Scenario = async (world) => {
  const address = nextAddress()
  const headers = { 'content-type': 'text/plain' }
  const first = await postMetadata(world, JSON.stringify(newcomer), { headers, address })
  refused(world, first, 415, 'invalid_request')
  for (const [body, error] of mistakes)
    refused(world, await postMetadata(world, body, { address }), 400, error)
  for (let n = 0; n < 3; n += 1) {
    const { status } = await postMetadata(world, '{}', { address })
    expectThat(status === 429, `one more registration was answered ${status}`)
    did(world, 'rate_limit_exceeded_total', { endpoint: '/oauth/register' })
  }
}

/** Somebody else's token opens nothing. */
const nosy: Scenario = async (world) => {
  const app = await registerPending(world, newcomer)
  const other = await registerPending(world, newcomer)
  const mixed = { ...app, registration_access_token: other.registration_access_token }
  for (const method of ['GET', 'PUT', 'DELETE'] as const)
    refused(world, await manage(world, mixed, method), 401, 'invalid_token')
  await leave(world, app, 'pending')
  await leave(world, other, 'pending')
}

/** Belongs to a sector, which is asked. */
const sectorMember: Scenario = async (world) => {
  const site = await publish({ '/uris': JSON.stringify([redirectUri]) })
  const inSector = (path: string) => ({
    ...newcomer,
    subject_type: 'pairwise',
    sector_identifier_uri: site.url + path,
  })
  const app = await registerPending(world, inSector('/uris'))
  asked(world, 'success', 'sector_identifier')
  await leave(world, app, 'pending')
  for (const [path, result] of [
    ['/nothing', 'failed'],
    ['/silence', 'timeout'],
  ] as const) {
    const answer = await postMetadata(world, JSON.stringify(inSector(path)))
    refused(world, answer, 400, 'invalid_client_metadata')
    asked(world, result, 'sector_identifier')
  }
  site.close()
}

export const registrants: readonly Scenario[] = [turncoat, shortLived, clumsy, nosy, sectorMember]
