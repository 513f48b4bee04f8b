/** What apps do behind their users' backs: redeem, refresh, look up. Each step notes what it must have moved. */
import { createHash, randomBytes } from 'node:crypto'
import { type Answer, answerOf } from '../browser.ts'
import { protocolError } from './people.ts'
import {
  type App,
  did,
  expectThat,
  type Family,
  nextAddress,
  type Person,
  type World,
} from './world.ts'

export const allScopes = 'openid profile email offline_access'
const verifier = randomBytes(32).toString('base64url')

export interface Tokens {
  readonly family: Family
  readonly access: string
  readonly refresh: string
}

export type How = 'basic' | 'post' | 'none'

export const createFamily = (person: Person, app: App, scope = allScopes): Family => {
  const family = { app, scope, access: 0, refresh: 0 }
  person.families.push(family)
  return family
}

export const pkce = {
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
}

export function authorizationPath(
  { clientId, redirectUri }: App,
  scope = allScopes,
  more: Readonly<Record<string, string | undefined>> = {},
): string {
  const parameters: Record<string, string | undefined> = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope,
    state: randomBytes(8).toString('hex'),
    nonce: randomBytes(8).toString('hex'),
    ...pkce,
    ...more,
  }
  const given = Object.entries(parameters).filter((pair): pair is [string, string] => !!pair[1])
  return `/oauth/authorize?${new URLSearchParams(given)}`
}

/** Turns a code into tokens. */
export async function redeem(
  world: World,
  family: Family,
  code: string,
  how: How = family.app.secret === undefined ? 'none' : 'basic',
): Promise<Tokens> {
  const answer = await postToken(world, family.app, codeFields(family.app, code), how)
  expectThat(answer.status === 200, `redeeming a code answered ${answer.status}`)
  authenticated(world, how, 'success')
  did(world, 'authgate_authorization_codes_total', { event: 'redeemed' })
  return received(world, family, answer, 'authorization_code')
}

export const codeFields = ({ redirectUri }: App, code: string) => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: redirectUri,
  code_verifier: verifier,
})

/** Refreshes; `grace` when the app has done so already and lost the answer. */
export async function refresh(
  world: World,
  { family, refresh: token }: Tokens,
  result: 'success' | 'grace' = 'success',
): Promise<Tokens> {
  const how = family.app.secret === undefined ? 'none' : 'basic'
  const answer = await postToken(world, family.app, refreshFields(token), how)
  expectThat(answer.status === 200, `refreshing (${result}) answered ${answer.status}`)
  authenticated(world, how, 'success')
  did(world, 'oauth_tokens_refreshed_total', { result })
  if (result === 'success') {
    family.refresh -= 1
    did(world, 'oauth_tokens_revoked_total', { reason: 'rotation', token_type: 'refresh' })
  }
  return received(world, family, answer, 'refresh_token', result === 'success')
}

export const refreshFields = (token: string) => ({
  grant_type: 'refresh_token',
  refresh_token: token,
})

/** A refresh that must fail, with the scope or app of the caller's choice. */
export async function refreshInVain(
  world: World,
  { app, token, scope }: { app: App; token: string; scope?: string },
  result: 'reuse' | 'invalid' | 'expired' | 'revoked' | 'client_mismatch' | 'scope',
): Promise<void> {
  const how = app.secret === undefined ? 'none' : 'basic'
  const fields = { ...refreshFields(token), ...(scope !== undefined && { scope }) }
  const answer = await postToken(world, app, fields, how)
  const error = result === 'scope' ? 'invalid_scope' : 'invalid_grant'
  expectError(answer, 400, error)
  authenticated(world, how, 'success')
  did(world, 'oauth_tokens_refreshed_total', { result })
  protocolError(world, '/oauth/token', error)
}

/** Notes that a family's live tokens have ended. */
export function revoked(world: World, family: Family, reason: string): void {
  const noted = (token_type: 'access' | 'refresh') => {
    if (family[token_type] > 0)
      did(world, 'oauth_tokens_revoked_total', { reason, token_type }, family[token_type])
    family[token_type] = 0
  }
  noted('access')
  noted('refresh')
}

export async function lookUp(world: World, { access }: Tokens): Promise<string> {
  const answer = await userinfo(world, access)
  expectThat(answer.status === 200, `userinfo answered ${answer.status}`)
  validated(world, 'valid')
  return answer.text
}

export async function lookUpInVain(
  world: World,
  access: string,
  result: 'invalid' | 'expired',
): Promise<void> {
  expectError(await userinfo(world, access), 401, 'invalid_token')
  validated(world, result)
  protocolError(world, '/oauth/userinfo', 'invalid_token')
}

export function validated(world: World, result: 'valid' | 'invalid' | 'expired'): void {
  did(world, 'oauth_token_validation_total', { result })
  did(world, 'oauth_token_validation_duration_seconds_count')
}

export function userinfo(world: World, access: string, init: RequestInit = {}): Promise<Answer> {
  return call(world, '/oauth/userinfo', {
    ...init,
    headers: { authorization: `Bearer ${access}` },
  })
}

export const postToken = (
  world: World,
  caller: Pick<App, 'clientId' | 'secret'>,
  fields: Readonly<Record<string, string>>,
  how: How,
  address?: string,
): Promise<Answer> => postForm(world, '/oauth/token', { caller, fields, how, address })

interface ClientForm {
  /** Nobody names themselves when left out. */
  readonly caller: Pick<App, 'clientId' | 'secret'> | undefined
  readonly how: How | undefined
  readonly fields: Readonly<Record<string, string>>
  readonly address?: string | undefined
}

export function postForm(world: World, path: string, form: ClientForm): Promise<Answer> {
  const { caller, how, fields, address = nextAddress() } = form
  const body = new URLSearchParams(fields)
  const headers = new Headers({ 'x-forwarded-for': address })
  const { clientId = '', secret = '' } = caller ?? {}
  if (how === 'basic')
    headers.set('authorization', `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`)
  else if (how !== undefined) body.set('client_id', clientId)
  if (how === 'post') body.set('client_secret', secret)
  return call(world, path, { method: 'POST', body, headers })
}

export async function call(world: World, path: string, init: RequestInit = {}): Promise<Answer> {
  world.stats.requests += 1
  return answerOf(await fetch(`${world.server.origin}${path}`, { ...init, redirect: 'manual' }))
}

export function authenticated(world: World, how: How, result: 'success' | 'failure'): void {
  const method = how === 'none' ? how : `client_secret_${how}`
  did(world, 'authgate_client_authentications_total', { method, result })
}

export function expectError(answer: Answer, status: number, error: string): void {
  const isIt = answer.status === status && answer.text.includes(`"error":"${error}"`)
  expectThat(isIt, `${error} was expected, but ${answer.status} came: ${answer.text.slice(0, 200)}`)
}

/** Notes the tokens of an answer. */
export function received(
  world: World,
  family: Family,
  answer: Answer,
  grant_type: string,
  withRefresh = true,
): Tokens {
  const tokens = JSON.parse(answer.text) as { access_token: string; refresh_token?: string }
  const words = family.scope.split(' ')
  const issued = (token_type: string) =>
    did(world, 'oauth_tokens_issued_total', { token_type, grant_type })
  family.access += 1
  issued('access')
  did(world, 'oauth_token_generation_duration_seconds_count')
  // Without openid there is no offline_access to ask for (OIDC Core §11).
  if (withRefresh && (words.includes('offline_access') || !words.includes('openid'))) {
    family.refresh += 1
    issued('refresh')
  }
  if (words.includes('openid')) {
    issued('id')
    did(world, 'oauth_token_generation_duration_seconds_count')
  }
  return { family, access: tokens.access_token, refresh: tokens.refresh_token ?? '' }
}
