/**
 * Identity providers: who else can vouch for people. What differs from one to the next is a small file each; what must
 * be the same is here: PKCE (RFC 7636), the issuer of the answer (RFC 9207), times, and what counts as which failure.
 * Tokens of a provider are used for one question and forgotten.
 */
import {
  AuthorizationResponseError,
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  ClientSecretPost,
  Configuration,
  calculatePKCECodeChallenge,
  customFetch,
  fetchProtectedResource,
  type ServerMetadata,
} from 'openid-client'
import { z } from 'zod'
import { isStorableValue } from '#/protocol/storable.ts'
import {
  type UpstreamOperation,
  type UpstreamProvider,
  type UpstreamResult,
  upstreamTitles,
} from '#/protocol/vocabulary.ts'
import { span } from '#/telemetry/tracing.ts'
import { boundedFetch, noticeRequests } from './bounded-fetch.ts'

/** What a provider says about somebody; all of it is a claim of theirs. */
export interface Profile {
  readonly issuer: string
  readonly subject: string
  readonly username: string
  readonly email: string | undefined
  readonly emailVerified: boolean
  readonly fullName: string
  /** When it asked them who they are, in seconds (OIDC Core §2), if it says. */
  readonly authTime?: number | undefined
}

/** What one sign-in is bound to. */
interface Checks {
  readonly state: string
  readonly verifier: string
  readonly nonce: string
  /** How long ago the provider may have asked who it is, in seconds: 0 for anew, undefined for whenever it was. */
  readonly maxAge?: number | undefined
}

interface Question extends Checks {
  /** Who it may be (OIDC Core §3.1.2.1). */
  readonly loginHint?: string | undefined
}

interface Answer extends Checks {
  /** Since the browser left. */
  readonly secondsAway: number
}

export interface ProviderSettings {
  readonly clientId: string
  readonly clientSecret: string
  readonly scopes: readonly string[]
  readonly redirectUri: string
  readonly timeoutMs: number
  /** Whether an address that it calls verified opens the account with that address. */
  readonly trustEmail: boolean
  readonly onRequest: (
    provider: UpstreamProvider,
    operation: UpstreamOperation,
    seconds: number,
  ) => void
}

export interface Provider {
  readonly source: UpstreamProvider
  readonly title: string
  readonly trustEmail: boolean
  /** Whether it can be told to ask anew who somebody is, and says when it did. */
  readonly openid: boolean
  /** Where to send the browser. Throws an `UpstreamError` when the provider cannot be found. */
  begin(question: Question): Promise<URL>
  /** Who came back. Throws an `UpstreamError`. */
  finish(parameters: URLSearchParams, answer: Answer): Promise<Profile>
}

type Tokens = Awaited<ReturnType<typeof authorizationCodeGrant>>

/** What makes a provider different from others. */
export interface ProviderKind {
  readonly source: UpstreamProvider
  /** Where an operator names it. */
  readonly title?: string
  /** Whether it signs ID tokens for us (OIDC Core §2). */
  readonly openid: boolean
  connect(settings: ProviderSettings): Promise<Configuration> | Configuration
  readProfile(config: Configuration, tokens: Tokens): Promise<Profile>
}

type Failure = Exclude<
  UpstreamResult,
  'success' | 'registered' | 'linked' | 'rate_limited' | 'error'
>

/** Why nobody came back; the message is for the log. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  readonly result: Failure

  constructor(result: Failure, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.result = result
  }
}

/** Makes a provider of what is particular to it and what the operator says. */
export function createProvider(kind: ProviderKind, settings: ProviderSettings): Provider {
  const { source, title = upstreamTitles[source], openid } = kind
  const { trustEmail, redirectUri, scopes } = settings
  const config = () =>
    ask(kind, settings, { operation: 'discovery', failure: 'unavailable' }, () =>
      kind.connect(settings),
    )
  return {
    source,
    title,
    trustEmail,
    openid,
    async begin({ state, verifier, nonce, maxAge, loginHint }) {
      return addressOf(await config(), {
        redirect_uri: redirectUri,
        scope: scopes.join(' '),
        state,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        ...(openid && { nonce, ...wishes(maxAge, loginHint) }),
      })
    },
    async finish(parameters, { state, verifier, nonce, maxAge, secondsAway }) {
      const connected = await config()
      requireIssuer(connected, parameters)
      const tokens = await ask(
        kind,
        settings,
        { operation: 'token', failure: 'exchange_failed' },
        () =>
          authorizationCodeGrant(connected, new URL(`${redirectUri}?${parameters}`), {
            expectedState: state,
            pkceCodeVerifier: verifier,
            ...(openid && { expectedNonce: nonce, idTokenExpected: true }),
            // OIDC Core §3.1.3.7: a time is checked when it was asked for; what passed on the way back is nobody's fault.
            ...(openid && maxAge !== undefined && { maxAge: maxAge + secondsAway }),
          }),
      )
      return ask(kind, settings, { operation: 'profile', failure: 'profile_failed' }, () =>
        readStorableProfile(kind, connected, tokens),
      )
    },
  }
}

async function readStorableProfile(kind: ProviderKind, config: Configuration, tokens: Tokens) {
  const profile = await kind.readProfile(config, tokens)
  if (isStorableValue(profile)) return profile
  throw new UpstreamError('profile_failed', 'the profile contains text that cannot be stored')
}

function addressOf(config: Configuration, parameters: Record<string, string>): URL {
  try {
    return buildAuthorizationUrl(config, parameters)
  } catch (cause) {
    throw new UpstreamError('unavailable', 'the provider publishes no authorization endpoint', {
      cause,
    })
  }
}

/** OIDC Core §3.1.2.1. The age is what makes it tell the time; with 0 some take it for `prompt` alone, and do not. */
const wishes = (maxAge: number | undefined, loginHint: string | undefined) => ({
  ...(maxAge === 0 && { prompt: 'login' }),
  ...(maxAge !== undefined && { max_age: String(maxAge || justNow) }),
  ...(loginHint !== undefined && { login_hint: loginHint }),
})

const justNow = 30

/** RFC 9207 §2.4: an answer that another server gave is none; those that leave tenants open are judged by the ID token. */
function requireIssuer(config: Configuration, answer: URLSearchParams) {
  const { issuer, authorization_response_iss_parameter_supported: promised } =
    config.serverMetadata()
  const said = answer.get('iss')
  if (issuer.includes('{')) return
  if (said === null ? promised === true : said !== issuer)
    throw new UpstreamError('wrong_issuer', 'the answer names another issuer')
}

interface Step {
  readonly operation: UpstreamOperation
  /** What it is called when it fails for no better reason. */
  readonly failure: Failure
}

async function ask<T>(
  { source }: ProviderKind,
  { onRequest }: ProviderSettings,
  { operation, failure }: Step,
  question: () => Promise<T> | T,
): Promise<T> {
  const start = performance.now()
  try {
    return await span(`upstream.${operation}`, () =>
      // What is known already, or refused before anybody was asked, took no time of theirs.
      noticeRequests(question, (asked) => {
        if (asked) onRequest(source, operation, (performance.now() - start) / 1000)
      }),
    )
  } catch (error) {
    throw asUpstreamError(error, failure)
  }
}

function asUpstreamError(error: unknown, otherwise: Failure): UpstreamError {
  if (error instanceof UpstreamError) return error
  if (error instanceof AuthorizationResponseError) {
    const denied = error.error === 'access_denied'
    const busy = ['temporarily_unavailable', 'server_error'].includes(error.error)
    return new UpstreamError(
      denied ? 'access_denied' : busy ? 'unavailable' : 'provider_error',
      'the provider answered with an error',
    )
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (otherwise === 'exchange_failed' && isAboutIdToken(error, code))
    return new UpstreamError('invalid_id_token', `the ID token is not valid (${code})`)
  // Causes may hold what the provider sent, tokens included: only our library's word for it goes on.
  return new UpstreamError(otherwise, `the provider gave an unexpected answer (${code})`)
}

/** A bad signature has no code of its own, only words. */
const isAboutIdToken = (error: unknown, code: string) =>
  aboutIdTokens.has(code) ||
  (error instanceof Error &&
    error.cause instanceof Error &&
    /JWT|ID Token|id_token/.test(error.cause.message))

/** Codes of the library for what can be wrong with a JWT. */
const aboutIdTokens = new Set([
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
  'OAUTH_KEY_SELECTION_FAILED',
])

/** What a provider without discovery is known to have. */
export function knownServer(metadata: ServerMetadata, settings: ProviderSettings): Configuration {
  const config = new Configuration(
    metadata,
    settings.clientId,
    undefined,
    ClientSecretPost(settings.clientSecret),
  )
  config.timeout = settings.timeoutMs / 1000
  config[customFetch] = boundedFetch
  for (const extension of extensionsFor(metadata.issuer)) extension(config)
  return config
}

/** A claim that somebody may go without. Providers send null and worse for one that they do not have: it is absent. */
export const optionalText = z
  .string()
  .min(1)
  .optional()
  .catch(() => undefined)

const addresses = z.array(
  z.object({
    email: optionalText,
    primary: z.unknown().optional(),
    verified: z.unknown().optional(),
  }),
)

/** The primary address of somebody, from a list in the shape of GitHub's. */
export async function readPrimaryEmail(
  config: Configuration,
  tokens: Tokens,
  url: string,
): Promise<Pick<Profile, 'email' | 'emailVerified'>> {
  const all = addresses.parse(await readJson(config, tokens, url))
  const found = all.find(({ primary }) => primary === true)
  return { email: found?.email, emailVerified: found?.verified === true }
}

/** This machine is asked in the clear, nobody else. */
export const extensionsFor = (url: string): ((config: Configuration) => void)[] =>
  url.startsWith('http:') ? [allowInsecureRequests] : []

/** A JSON document of the provider's own API. */
export async function readJson(
  config: Configuration,
  tokens: Tokens,
  url: string,
): Promise<unknown> {
  const response = await fetchProtectedResource(
    config,
    tokens.access_token,
    new URL(url),
    'GET',
    undefined,
    new Headers({ accept: 'application/json' }),
  )
  if (!response.ok)
    throw new UpstreamError('profile_failed', `the provider answered ${response.status}`)
  return response.json()
}

/** Plain OAuth providers are asked by their API alone, so that there is one way to know who somebody is. */
export const withoutOpenid = (settings: ProviderSettings): ProviderSettings => ({
  ...settings,
  scopes: settings.scopes.filter((scope) => scope !== 'openid'),
})
