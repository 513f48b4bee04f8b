/** From the form's fields to a client, by the same metadata rules as dynamic registration. */
import { z } from 'zod'
import type { Client, NewClient } from '#/domain/clients/clients.ts'
import { columnsOf, metadataOf } from '#/domain/clients/metadata.ts'
import { type ClientMetadata, createMetadataParser } from '#/protocol/client-metadata.ts'
import { grantTypes } from '#/protocol/grant-types.ts'
import { isResource } from '#/protocol/resources.ts'
import { scopeWords, standardScopes } from '#/protocol/scopes.ts'
import { parseJson } from '#/protocol/storable.ts'
import { refreshTokenModes, tokenProfiles } from '#/protocol/vocabulary.ts'
import { FormError } from '#/web/pages/form-error.ts'
import { wordsOf as lines } from '#/web/request/forms.ts'

interface ParsedClient {
  readonly metadata: ClientMetadata
  readonly client: Omit<NewClient, 'status' | 'ownerId'>
}

/** Reads the form, over what the client is already; throws what `asFormError` understands. */
export type ParseClient = (fields: URLSearchParams, current?: Client) => ParsedClient

export function createClientParser({ loopbackHttp }: { loopbackHttp: boolean }): ParseClient {
  const parse = createMetadataParser({
    grantTypes,
    scopes: undefined,
    loopbackHttp,
    privateUseSchemes: 'any',
  })
  return (fields, current) => {
    const metadata = parse({ ...(current && metadataOf(current)), ...metadataIn(fields) })
    const operator = operatorFields.safeParse({
      // The form asks for it only where refresh tokens rotate at all.
      ...(current && { refresh_token_mode: current.refreshTokenMode }),
      ...Object.fromEntries(fields),
    })
    if (!operator.success) {
      const [issue] = operator.error.issues
      throw new FormError(String(issue?.path[0]), issue?.message ?? 'A value is not valid.')
    }
    const { data } = operator
    if (data.refresh_token_mode === 'fixed' && metadata.token_endpoint_auth_method === 'none')
      throw new FormError(
        'refresh_token_mode',
        'The refresh tokens of a public client must rotate.',
      )
    return {
      metadata,
      client: {
        ...columnsOf(metadata),
        tokenProfile: data.token_profile,
        refreshTokenMode: data.refresh_token_mode,
        allowedResources: data.allowed_resources,
        servedResources: data.served_resources,
        extraClaims: data.extra_claims === 'true',
        requirePkce: data.require_pkce === 'true',
      },
    }
  }
}

/** Boxes repeat their name; here one field with several words means the same. */
const words = (fields: URLSearchParams, ...names: string[]) =>
  names.flatMap((name) => fields.getAll(name)).flatMap((value) => lines(value))

function metadataIn(fields: URLSearchParams) {
  const text = (name: string) => fields.get(name)?.trim() || null
  const isTicked = (name: string) => fields.get(name) === 'true'
  const name = text('client_name')
  if (name === null) throw new FormError('client_name', 'Enter a name.')
  const grants = words(fields, 'grant_types')
  const scope = words(fields, 'scope', 'other_scopes').join(' ')
  if (scope === '' && grants.some((grant) => grant !== 'client_credentials'))
    throw new FormError('scope', 'Choose at least one scope.')
  return {
    client_name: name,
    client_uri: text('client_uri'),
    token_endpoint_auth_method: text('token_endpoint_auth_method') ?? 'missing',
    redirect_uris: lines(fields.get('redirect_uris')),
    // Without the field it stays what it is; empty, it follows from the URIs.
    ...(fields.has('application_type') && { application_type: text('application_type') }),
    grant_types: grants,
    scope,
    jwks: keysIn(text('jwks')),
    jwks_uri: text('jwks_uri'),
    id_token_signed_response_alg: text('id_token_signed_response_alg') ?? 'ES256',
    userinfo_signed_response_alg: text('userinfo_signed_response_alg'),
    introspection_signed_response_alg: text('introspection_signed_response_alg') ?? 'ES256',
    require_pushed_authorization_requests: isTicked('require_pushed_authorization_requests'),
    dpop_bound_access_tokens: isTicked('dpop_bound_access_tokens'),
    require_signed_request_object: isTicked('require_signed_request_object'),
    subject_type: text('subject_type'),
    sector_identifier_uri: text('sector_identifier_uri'),
    post_logout_redirect_uris: lines(fields.get('post_logout_redirect_uris')),
    backchannel_logout_uri: text('backchannel_logout_uri'),
    backchannel_logout_session_required: isTicked('backchannel_logout_session_required'),
  }
}

/** What only operators set, by the names of its fields. */
export const operatorSettingsOf = (client: Client) => ({
  token_profile: client.tokenProfile,
  refresh_token_mode: client.refreshTokenMode,
  allowed_resources: client.allowedResources,
  served_resources: client.servedResources,
  extra_claims: client.extraClaims,
  require_pkce: client.requirePkce,
})

/** The fields that describe this client. */
export function fieldsOf(client: Client): URLSearchParams {
  const settings: Readonly<Record<string, unknown>> = {
    ...metadataOf(client),
    ...operatorSettingsOf(client),
  }
  const { scope: _, grant_types: __, jwks, ...rest } = settings
  const fields = new URLSearchParams()
  for (const [name, value] of Object.entries(rest))
    fields.set(name, Array.isArray(value) ? value.join('\n') : String(value))
  for (const grant of client.grantTypes) fields.append('grant_types', grant)
  const isStandard = (word: string) => standardScopes.some((standard) => standard === word)
  for (const word of scopeWords(client.scope).filter(isStandard)) fields.append('scope', word)
  const others = scopeWords(client.scope).filter((word) => !isStandard(word))
  fields.set('other_scopes', others.join(' '))
  if (jwks) fields.set('jwks', JSON.stringify(jwks))
  return fields
}

function keysIn(text: string | null): unknown {
  try {
    return text === null ? null : parseJson(text)
  } catch {
    throw new FormError('jwks', 'Public keys must be valid JSON.')
  }
}

const resources = z
  .string()
  .default('')
  .transform(lines)
  .refine(
    (uris) => uris.length <= 20 && uris.every(isResource),
    'Resources must be at most 20 absolute URIs without fragment.',
  )

/** Settings that a client cannot register for itself. */
const operatorFields = z.object({
  token_profile: z.enum(tokenProfiles, 'Choose a token lifetime.').default('standard'),
  refresh_token_mode: z
    .enum(refreshTokenModes, 'Choose how refresh tokens behave.')
    .default('rotating'),
  allowed_resources: resources,
  served_resources: resources,
  extra_claims: z.string().optional(),
  require_pkce: z.string().optional(),
})
