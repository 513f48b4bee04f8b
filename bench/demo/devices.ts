/** Devices without a browser of their own, and the people who let them in, or do not (RFC 8628). */
import { randomUUID } from 'node:crypto'
import { type Answer, type Browser, hiddenField } from '../browser.ts'
import {
  allScopes,
  authenticated,
  call,
  createFamily,
  expectError,
  lookUp,
  postToken,
  received,
} from './apps.ts'
import { withGuest } from './guests.ts'
import { arrive, consented, protocolError, signOut } from './people.ts'
import type { Scenario } from './scenarios.ts'
import {
  type App,
  did,
  expectThat,
  lives,
  nextAddress,
  type Person,
  pause,
  type World,
} from './world.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:device_code'

interface Asked {
  readonly device_code: string
  readonly user_code: string
}

const postCode = (world: World, fields: Record<string, string>, address = nextAddress()) =>
  call(world, '/oauth/device/code', {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers: { 'x-forwarded-for': address, 'user-agent': 'television/1.0 (Linux)' },
  })

async function ask(world: World, { clientId }: App): Promise<Asked> {
  const answer = await postCode(world, { client_id: clientId, scope: allScopes })
  expectThat(answer.status === 200, `a device that asked for a code was answered ${answer.status}`)
  authenticated(world, 'none', 'success')
  did(world, 'oauth_device_codes_total', { result: 'success' })
  did(world, 'oauth_device_codes_active')
  did(world, 'oauth_device_codes_pending_authorization')
  return JSON.parse(answer.text) as Asked
}

/** The device asks for its tokens. */
async function poll(
  world: World,
  { device_code }: Pick<Asked, 'device_code'>,
  result: string,
): Promise<Answer> {
  const answer = await postToken(world, world.cli, { grant_type: grantType, device_code }, 'none')
  authenticated(world, 'none', 'success')
  did(world, 'oauth_device_code_validation_total', { result })
  return answer
}

async function pollInVain(
  world: World,
  asked: Pick<Asked, 'device_code'>,
  [result, error]: readonly [result: string, error: string],
): Promise<void> {
  expectError(await poll(world, asked, result), 400, error)
  protocolError(world, '/oauth/token', error)
}

const pending = ['pending', 'authorization_pending'] as const
const slowDown = ['slow_down', 'slow_down'] as const
const denied = ['denied', 'access_denied'] as const
const expired = ['expired', 'expired_token'] as const
const invalid = ['invalid', 'invalid_grant'] as const

/** The code is on the screen of the device; its user types it. */
async function enter(world: World, browser: Browser, user_code: string): Promise<Answer> {
  const answer = await browser.submit('/device', '/device/verify', { user_code })
  const result = answer.status === 200 ? 'found' : 'refused'
  if (answer.status !== 429) did(world, 'authgate_device_codes_entered_total', { result })
  return answer
}

async function decide(
  world: World,
  browser: Browser,
  { user_code, action }: Pick<Asked, 'user_code'> & { action: 'approve' | 'deny' },
): Promise<void> {
  const page = await enter(world, browser, user_code.toLowerCase().replace('-', ''))
  expectThat(page.text.includes(user_code), `the code ${user_code} was answered ${page.status}`)
  const { status } = await browser.post('/device/decide', {
    csrf_token: hiddenField(page.text, 'csrf_token'),
    request: hiddenField(page.text, 'request'),
    action,
  })
  expectThat(status === 200, `the answer to a device was answered ${status}`)
  did(world, 'oauth_device_codes_pending_authorization', {}, -1)
}

function ended(world: World, result: 'redeemed' | 'denied' | 'expired') {
  did(world, 'authgate_device_codes_ended_total', { result })
  did(world, 'oauth_device_codes_active', {}, -1)
}

/**
 * Everything goes as it should, but for a device that is impatient and a typing error. A guest has approved nothing
 * before, so that this is a consent.
 */
const television = withGuest(async (world, person) => {
  const browser = await arrive(world, person)
  const asked = await ask(world, world.cli)
  await pollInVain(world, asked, pending)
  await pollInVain(world, asked, slowDown)
  const typo = await enter(world, browser, 'BCDF-GHJK')
  expectThat(typo.status === 400, `a wrong code was answered ${typo.status}`)
  await pause(50, 300)
  await letIn(world, person, browser, asked)
  const family = createFamily(person, world.cli)
  const answer = await poll(world, asked, 'success')
  expectThat(answer.status === 200, `an approved device was answered ${answer.status}`)
  ended(world, 'redeemed')
  await lookUp(world, received(world, family, answer, grantType))
  await pollInVain(world, asked, invalid)
  await signOut(world, person, browser)
})

async function letIn(world: World, person: Person, browser: Browser, { user_code }: Asked) {
  await decide(world, browser, { user_code, action: 'approve' })
  did(world, 'oauth_device_codes_authorized_total')
  did(world, 'oauth_device_code_authorization_duration_seconds_count')
  consented(world, person, { app: world.cli, scope: allScopes }, 'device_code')
}

/** Somebody else's device. */
const phishing: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const { user_code, device_code } = await ask(world, world.cli)
  await decide(world, browser, { user_code, action: 'deny' })
  ended(world, 'denied')
  await pollInVain(world, { device_code }, denied)
  await signOut(world, person, browser)
}

/** Nobody comes. */
const forgottenDevice: Scenario = async (world) => {
  const asked = await ask(world, world.cli)
  const later = lives.deviceCode * 1000 + 500
  await pause(later, later)
  await pollInVain(world, asked, expired)
  did(world, 'oauth_device_codes_pending_authorization', {}, -1)
  ended(world, 'expired')
}

const clumsyDevice: Scenario = async (world) => {
  const { clientId: client_id } = world.cli
  const mistakes = [
    [{}, 400, 'invalid_request'],
    [{ client_id: randomUUID() }, 401, 'invalid_client'],
    [{ client_id, scope: 'admin' }, 400, 'invalid_scope'],
    [{ client_id, resource: 'https://api.invalid/' }, 400, 'invalid_target'],
  ] as const
  for (const [fields, status, error] of mistakes) {
    expectError(await postCode(world, fields), status, error)
    notIssued(world, error)
    if ('client_id' in fields) authenticated(world, 'none', status === 401 ? 'failure' : 'success')
  }
}

function notIssued(world: World, error: string) {
  did(world, 'oauth_device_codes_total', { result: 'error' })
  protocolError(world, '/oauth/device/code', error)
}

/** A program that asks for codes until it is told to stop. */
const hammer: Scenario = async (world) => {
  const address = nextAddress()
  for (let n = 0; n < 12; n += 1) {
    const { status } = await postCode(world, {}, address)
    if (status === 429) did(world, 'rate_limit_exceeded_total', { endpoint: '/oauth/device/code' })
    else notIssued(world, 'invalid_request')
    expectThat(status === (n < 10 ? 400 : 429), `request ${n} for a code was answered ${status}`)
  }
}

/** Somebody who tries codes until the limit bites. */
const codeGuesser: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  for (let n = 0; n < 12; n += 1) {
    const { status } = await enter(world, browser, 'ZZZZ-ZZZZ')
    if (status === 429) did(world, 'rate_limit_exceeded_total', { endpoint: '/device/verify' })
    expectThat(status === (n < 10 ? 400 : 429), `guess ${n} was answered ${status}`)
  }
  await signOut(world, person, browser)
}

export const deviceStories: readonly Scenario[] = [
  forgottenDevice,
  television,
  phishing,
  clumsyDevice,
  hammer,
  codeGuesser,
]
