/**
 * What a client may be registered with (RFC 7591 §2, OIDC Dynamic Registration §2): every field we know, judged by
 * itself and together with the others. Fields we do not know are ignored, as RFC 7591 §2 asks.
 */
import { z } from 'zod'
import { publicKeySet } from './client-jwks.ts'
import { OAuthError } from './errors.ts'
import { deviceCodeGrantType, type GrantType, tokenExchangeGrantType } from './grant-types.ts'
import { isPlainText, nameProblem, normalizeName } from './names.ts'
import {
  isLoopback,
  isRegistrableRedirectUri,
  isUri,
  type PrivateUseSchemes,
} from './redirect-uri.ts'
import { isScopeWithin, parseScope } from './scopes.ts'
import {
  applicationTypes,
  clientAuthenticationMethods,
  clientSigningAlgorithms,
  signingAlgorithms,
  subjectTypes,
} from './vocabulary.ts'

/** What differs between clients that register themselves and those that an operator makes. */
export interface MetadataRules {
  readonly grantTypes: readonly GrantType[]
  /** Undefined for any. */
  readonly scopes: readonly string[] | undefined
  /** Whether this server asks plain http addresses of its own machine. */
  readonly loopbackHttp: boolean
  /** Those without a dot that native clients may redirect to. */
  readonly privateUseSchemes: PrivateUseSchemes
}

export type ClientMetadata = z.output<ReturnType<typeof metadataSchema>>

/** Reads metadata; throws `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591 §3.2.2) that names the field. */
export function createMetadataParser(rules: MetadataRules): (input: object) => ClientMetadata {
  const schema = metadataSchema(rules)
  return (input) => {
    const given = Object.entries(input).filter(([, value]) => value !== null && value !== '')
    for (const [field] of given)
      if (unsupported.test(field)) refuse(field, 'is not supported by this server')
    // RFC 7592 §2.2: null and empty values mean the same as no value.
    const parsed = schema.safeParse(Object.fromEntries(given))
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    return refuse(String(issue?.path[0]), issue?.message ?? 'is not valid')
  }
}

/** To ignore these would be to answer in the clear what a client wants sealed. */
const unsupported =
  /^(\w+_encrypted_response|request_object_encryption)_(alg|enc)$|^authorization_signed_response_alg$/

function refuse(field: string, problem: string): never {
  const isRedirect = field === 'redirect_uris'
  throw new OAuthError(
    isRedirect ? 'invalid_redirect_uri' : 'invalid_client_metadata',
    `${field} ${problem}`,
  )
}

const maxItems = 20
const longest = 2048

const text = (most: number) =>
  z.string('must be a string').max(most, `must have at most ${most} characters`)
const listOf = <T extends z.ZodType>(item: T) =>
  z.array(item, 'must be an array').max(maxItems, `must have at most ${maxItems} items`)
const choice = <const T extends readonly string[]>(values: T) =>
  z.enum(values, `must be one of ${values.join(', ')}`)
const orNull = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? null)
const flag = z.boolean('must be true or false').default(false)

const uri = (accepts: (uri: URL) => boolean, problem: string) =>
  text(longest).refine((value) => isUri(value) && accepts(new URL(value)), problem)
const isHttps = ({ protocol }: URL) => protocol === 'https:'
const webPage = uri(({ protocol }) => /^https?:$/.test(protocol), 'must be an http or https URL')
const redirectUri = ({ privateUseSchemes }: Pick<MetadataRules, 'privateUseSchemes'>) =>
  text(longest).refine(
    (value) => isRegistrableRedirectUri(value, privateUseSchemes),
    'must be https, http on the loopback interface, or of a private-use scheme, without fragment',
  )

/** An address that this server itself will ask. */
const askedUri = ({ loopbackHttp }: MetadataRules, { fragment = false } = {}) =>
  uri(
    (address) =>
      (isHttps(address) || (loopbackHttp && isLoopback(address))) &&
      (fragment || address.hash === ''),
    `must be an https URL${fragment ? '' : ' without fragment'}`,
  )

/** What people decide by when they are asked for consent. */
const clientName = z
  .string('must be a string')
  .transform(normalizeName)
  .superRefine((name, context) => {
    const message = nameProblem(name, 100)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

function metadataSchema(rules: MetadataRules) {
  return z
    .object({
      ...descriptionFields,
      ...grantFields(rules),
      ...keyFields(rules),
      ...loginFields(rules),
    })
    .superRefine((metadata, context) => {
      for (const [field, message, isProblem] of contradictions)
        if (isProblem(metadata)) context.addIssue({ code: 'custom', path: [field], message })
    })
    .transform(fillIn)
}

/** What people read about it. */
const descriptionFields = {
  client_name: orNull(clientName),
  client_uri: orNull(webPage),
  logo_uri: orNull(webPage),
  policy_uri: orNull(webPage),
  tos_uri: orNull(webPage),
  contacts: listOf(text(320).refine(isPlainText, 'must be plain text')).default([]),
}

const grantFields = ({ grantTypes, scopes, ...rules }: MetadataRules) => ({
  redirect_uris: listOf(redirectUri(rules)).default([]),
  application_type: orNull(choice(applicationTypes)),
  grant_types: listOf(z.preprocess(longName, choice(grantTypes)))
    .min(1, 'must name at least one')
    .default(['authorization_code']),
  response_types: orNull(listOf(choice(['code']))),
  scope: orNull(
    text(1000)
      .refine((scope) => parseScope(scope), 'must be words separated by spaces')
      .refine(
        (scope) => !scopes || isScopeWithin(parseScope(scope) ?? [], scopes.join(' ')),
        `must be made of ${scopes?.join(', ')}`,
      )
      .transform((scope) => parseScope(scope)?.join(' ') ?? ''),
  ),
  require_pushed_authorization_requests: flag,
  dpop_bound_access_tokens: flag,
})

/** The reference product takes the device grant by this name too. */
const longName = (name: unknown) => (name === 'device_code' ? deviceCodeGrantType : name)

const keyFields = (rules: MetadataRules) => ({
  token_endpoint_auth_method: choice(clientAuthenticationMethods).default('client_secret_basic'),
  token_endpoint_auth_signing_alg: orNull(choice(clientSigningAlgorithms)),
  jwks: orNull(publicKeySet),
  jwks_uri: orNull(askedUri(rules)),
  // OIDC Dynamic Registration §2 and RFC 9701 §6 make RS256 the default.
  id_token_signed_response_alg: choice(signingAlgorithms).default('RS256'),
  introspection_signed_response_alg: choice(signingAlgorithms).default('RS256'),
  userinfo_signed_response_alg: orNull(choice(signingAlgorithms)),
  request_object_signing_alg: orNull(choice([...clientSigningAlgorithms, 'none'])),
  require_signed_request_object: flag,
  request_uris: listOf(askedUri(rules, { fragment: true })).default([]),
})

const loginFields = (rules: MetadataRules) => ({
  subject_type: choice(subjectTypes).default('public'),
  sector_identifier_uri: orNull(askedUri(rules)),
  default_max_age: orNull(
    z
      .int('must be a whole number')
      .min(0, 'must not be negative')
      .max(2 ** 31 - 1, 'is too large'),
  ),
  require_auth_time: flag,
  default_acr_values: listOf(text(200)).default([]),
  initiate_login_uri: orNull(uri(isHttps, 'must be an https URL')),
  post_logout_redirect_uris: listOf(redirectUri(rules)).default([]),
  backchannel_logout_uri: orNull(askedUri(rules)),
  backchannel_logout_session_required: flag,
})

type Fields = z.output<
  z.ZodObject<
    typeof descriptionFields &
      ReturnType<typeof grantFields> &
      ReturnType<typeof keyFields> &
      ReturnType<typeof loginFields>
  >
>

const has = ({ grant_types }: Fields, ...names: GrantType[]) =>
  grant_types.some((name) => names.includes(name))
const isPublic = ({ token_endpoint_auth_method: method }: Fields) => method === 'none'
const hasKeys = ({ jwks, jwks_uri }: Fields) => jwks !== null || jwks_uri !== null
const isSecure = (value: string) => isHttps(new URL(value))

/** What no field can know by itself: the field at fault, the rest of the sentence, and when it is true. */
const contradictions: readonly (readonly [
  field: keyof Fields,
  problem: string,
  isProblem: (given: Fields) => boolean,
])[] = [
  [
    'redirect_uris',
    'must be given for the authorization code grant',
    (given) => has(given, 'authorization_code') && given.redirect_uris.length === 0,
  ],
  [
    'redirect_uris',
    'must be https for web clients',
    (given) => given.application_type === 'web' && !given.redirect_uris.every(isSecure),
  ],
  [
    'post_logout_redirect_uris',
    'must be https for web clients',
    (given) => given.application_type === 'web' && !given.post_logout_redirect_uris.every(isSecure),
  ],
  [
    'response_types',
    'must be code with the authorization code grant, and none without it',
    // RFC 7591 §2.1.
    (given) =>
      given.response_types !== null &&
      given.response_types.includes('code') !== has(given, 'authorization_code'),
  ],
  [
    'grant_types',
    'must not have client_credentials or token-exchange without client authentication',
    // RFC 6749 §4.4; RFC 8693 §5.
    (given) => isPublic(given) && has(given, 'client_credentials', tokenExchangeGrantType),
  ],
  [
    'jwks_uri',
    'must not be given together with jwks',
    // RFC 7591 §2.
    (given) => given.jwks !== null && given.jwks_uri !== null,
  ],
  [
    'jwks',
    'or jwks_uri must be given for private_key_jwt',
    (given) => given.token_endpoint_auth_method === 'private_key_jwt' && !hasKeys(given),
  ],
  [
    'jwks',
    'or jwks_uri must be given for signed request objects',
    (given) => given.require_signed_request_object && !hasKeys(given),
  ],
  [
    'request_object_signing_alg',
    'must not be none where request objects must be signed',
    // RFC 9101 §10.5.
    (given) => given.require_signed_request_object && given.request_object_signing_alg === 'none',
  ],
  [
    'sector_identifier_uri',
    'must be given for pairwise subjects unless all redirect URIs are https on one host',
    // OIDC Core §8.1.
    (given) =>
      given.subject_type === 'pairwise' &&
      given.sector_identifier_uri === null &&
      !haveOneHost(given.redirect_uris),
  ],
]

const haveOneHost = (uris: readonly string[]) =>
  uris.every(isSecure) && new Set(uris.map((value) => new URL(value).hostname)).size === 1

/** The defaults that depend on other fields. */
function fillIn({ response_types: _, ...given }: Fields) {
  const uris = [...given.redirect_uris, ...given.post_logout_redirect_uris]
  return {
    ...given,
    // Clients that know RFC 7591 alone have no word for this, and their loopback URIs say it.
    application_type: given.application_type ?? (uris.every(isSecure) ? 'web' : 'native'),
    client_name: given.client_name ?? nameByAddress(given),
    scope: given.scope ?? defaultScope(given as Fields),
  }
}

const unnamed = 'Unnamed client'

/** The host of an https redirect URI cannot be claimed by others; that of a private-use scheme can. */
const nameByAddress = (given: Pick<Fields, 'redirect_uris' | 'client_uri'>) => {
  const address = given.redirect_uris[0] ?? given.client_uri
  return (address && /^https?:/.test(address) && new URL(address).hostname) || unnamed
}

/** Whether a client goes by its address, or by no name at all: then others may be called the same. */
export const isNamedByAddress = (metadata: ClientMetadata): boolean =>
  [unnamed, metadata.redirect_uris.length > 0 && nameByAddress(metadata)].includes(
    metadata.client_name,
  )

function defaultScope(given: Fields): string {
  if (!has(given, 'authorization_code', deviceCodeGrantType)) return ''
  return `openid profile email${has(given, 'refresh_token') ? ' offline_access' : ''}`
}
