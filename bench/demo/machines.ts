/** Programs without a user, and what programs ask about tokens: introspection, revocation, tokeninfo. */
import type { Answer } from '../browser.ts'
import {
  authenticated,
  call,
  expectError,
  type How,
  postForm,
  postToken,
  revoked,
  validated,
} from './apps.ts'
import { arrive, protocolError, signOut, writtenDown } from './people.ts'
import { leave, registerApp } from './registration.ts'
import { letIn, type Scenario } from './scenarios.ts'
import { type App, did, expectThat, nextAddress, type World } from './world.ts'

type Caller = Pick<App, 'clientId' | 'secret'>

/** Acts for itself, asks about its token, and gives it back. */
const nightlyJob: Scenario = async (world) => {
  const registered = await registerApp(world, {
    client_name: 'Nightly job',
    grant_types: ['client_credentials'],
    response_types: [],
  })
  const job = { clientId: registered.client_id, secret: registered.client_secret ?? '' }
  const access = await actForItself(world, job)
  await introspect(world, job, { token: access, result: 'active' })
  await introspect(world, world.shop, { token: access, result: 'not_entitled' })
  await lookAt(world, access)
  await giveBack(world, access, job)
  did(world, 'oauth_tokens_revoked_total', { reason: 'client_request', token_type: 'access' })
  await introspect(world, job, { token: access, result: 'inactive' })
  for (const [more, error] of [
    [{ scope: 'openid' }, 'invalid_scope'],
    [{ resource: 'https://elsewhere.invalid/' }, 'invalid_target'],
  ] as const) {
    const fields = { grant_type: 'client_credentials', ...more }
    expectError(await postToken(world, job, fields, 'post'), 400, error)
    authenticated(world, 'post', 'success')
    protocolError(world, '/oauth/token', error)
  }
  await leave(world, registered)
}

/** A command-line client signs out: it knows nothing but its token. */
const signOff: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const tokens = await letIn(world, person, browser, world.cli)
  await lookAt(world, tokens.access)
  await giveBack(world, tokens.refresh)
  revoked(world, tokens.family, 'client_request')
  await lookAtInVain(world, `Bearer ${tokens.access}`, 'invalid_token')
  validated(world, 'invalid')
  await lookAtInVain(world, undefined, 'missing_token')
  await lookUnreadably(world)
  await signOut(world, person, browser)
}

/** Tokens in the hands of others, and requests that are none. */
const busybody: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const { access } = await letIn(world, person, browser, world.shop)
  const registered = await registerApp(world, {
    client_name: 'Busybody',
    redirect_uris: ['https://busybody.example.test/callback'],
  })
  const other = { clientId: registered.client_id, secret: registered.client_secret ?? '' }
  const mistakes: readonly [path: string, caller: Caller | undefined, token: string, string][] = [
    ['/oauth/revoke', other, access, 'invalid_grant'],
    ['/oauth/revoke', undefined, access, 'invalid_client'],
    ['/oauth/revoke', other, '', 'invalid_request'],
    ['/oauth/introspect', { ...other, secret: 'guessed' }, access, 'invalid_client'],
    ['/oauth/introspect', other, '', 'invalid_request'],
  ]
  for (const [path, caller, token, error] of mistakes) {
    const isClientWrong = error === 'invalid_client'
    const answer = await ask(world, path, { caller, token })
    expectError(answer, isClientWrong ? 401 : 400, error)
    authenticated(world, 'basic', isClientWrong ? 'failure' : 'success')
    protocolError(world, path, error)
  }
  await leave(world, registered)
  await signOut(world, person, browser)
}

/** One guess after the other, from one address. */
const tokenGuesser: Scenario = async (world) => {
  for (const path of ['/oauth/introspect', '/oauth/revoke']) {
    const address = nextAddress()
    let limited = 0
    for (let n = 0; n < 25; n += 1) {
      const caller = { clientId: world.shop.clientId, secret: 'guessed' }
      const { status } = await ask(world, path, { caller, token: 'guess', address })
      authenticated(world, 'basic', 'failure')
      if (status === 429) {
        did(world, 'rate_limit_exceeded_total', { endpoint: path })
        limited += 1
      } else protocolError(world, path, 'invalid_client')
    }
    expectThat(limited > 0, `twenty-five requests to ${path} were let through`)
  }
}

async function actForItself(world: World, job: Caller): Promise<string> {
  const answer = await postToken(world, job, { grant_type: 'client_credentials' }, 'basic')
  expectThat(answer.status === 200, `client credentials answered ${answer.status}`)
  authenticated(world, 'basic', 'success')
  did(world, 'oauth_tokens_issued_total', {
    token_type: 'access',
    grant_type: 'client_credentials',
  })
  did(world, 'oauth_token_generation_duration_seconds_count')
  return (JSON.parse(answer.text) as { access_token: string }).access_token
}

async function introspect(
  world: World,
  caller: Caller,
  { token, result }: { token: string; result: 'active' | 'inactive' | 'not_entitled' },
) {
  const answer = await ask(world, '/oauth/introspect', { caller, token })
  const isSo = answer.text.includes(`"active":${result === 'active'}`)
  expectThat(answer.status === 200 && isSo, `introspection answered ${answer.text}`)
  authenticated(world, 'basic', 'success')
  did(world, 'authgate_token_introspections_total', { result })
  if (result === 'not_entitled') writtenDown(world, 'introspection')
}

async function giveBack(world: World, token: string, caller?: Caller) {
  const answer = await ask(world, '/oauth/revoke', { caller, token })
  expectThat(answer.status === 200, `revoking answered ${answer.status}`)
  if (caller) authenticated(world, 'basic', 'success')
}

async function lookAt(world: World, access: string) {
  const answer = await tokeninfo(world, access)
  expectThat(answer.status === 200, `tokeninfo answered ${answer.status}`)
  validated(world, 'valid')
}

async function lookAtInVain(world: World, authorization: string | undefined, error: string) {
  expectError(await tokeninfo(world, authorization), 401, error)
  protocolError(world, '/oauth/tokeninfo', error)
}

/** With a character in the address that no database can store. */
async function lookUnreadably(world: World) {
  const endpoint = '/oauth/tokeninfo'
  expectError(await call(world, `${endpoint}?x=%00`, { headers: {} }), 400, 'invalid_request')
  protocolError(world, endpoint, 'invalid_request')
}

const tokeninfo = (world: World, authorization: string | undefined): Promise<Answer> =>
  call(world, '/oauth/tokeninfo', {
    headers: { ...(authorization !== undefined && { authorization }) },
  })

/** Asks about a token, or has it revoked. */
function ask(
  world: World,
  path: string,
  about: { caller: Caller | undefined; token: string; address?: string },
): Promise<Answer> {
  const { caller, token, address } = about
  const how: How | undefined = caller && 'basic'
  return postForm(world, path, { caller, fields: { token }, how, address })
}

export const machines: readonly Scenario[] = [nightlyJob, signOff, busybody, tokenGuesser]
