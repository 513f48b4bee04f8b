/** From the fields of the form to an app: the same judgement of metadata as for all other clients. */
import type { Client } from '#/domain/clients/clients.ts'
import { metadataOf } from '#/domain/clients/metadata.ts'
import type { AppContent } from '#/domain/clients/own-apps.ts'
import { createMetadataParser, type MetadataRules } from '#/protocol/client-metadata.ts'
import { deviceCodeGrantType, type GrantType, grantTypes } from '#/protocol/grant-types.ts'
import { isPlainText } from '#/protocol/names.ts'
import type { Offered } from '#/protocol/offered.ts'
import { isStandardScope, scopeWords } from '#/protocol/scopes.ts'
import { FormError } from '#/web/pages/form-error.ts'
import { wordsOf } from '#/web/request/forms.ts'

interface Kind {
  readonly token_endpoint_auth_method: 'client_secret_basic' | 'none'
  readonly grant_types: readonly GrantType[]
}

/** What an app can be: how it proves itself, and how it gets tokens. */
const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  [
    'web',
    {
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code', 'refresh_token'],
    },
  ],
  [
    'native',
    {
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
    },
  ],
  [
    'device',
    {
      token_endpoint_auth_method: 'none',
      grant_types: [deviceCodeGrantType, 'refresh_token'],
    },
  ],
])

/** Reads the form, over what the app is already; throws what `asFormError` understands. */
export type ParseApp = (fields: URLSearchParams, current?: Client) => AppContent

export function createAppParser(
  rules: Pick<MetadataRules, 'loopbackHttp' | 'privateUseSchemes'> & { readonly offered: Offered },
): ParseApp {
  const { loopbackHttp, privateUseSchemes, offered } = rules
  const parse = createMetadataParser({
    grantTypes,
    scopes: undefined,
    loopbackHttp,
    privateUseSchemes,
  })
  return (fields, current) => {
    const description = descriptionIn(fields)
    const metadata = parse({
      ...(current ? kept(current) : newOf(fields, offered)),
      ...metadataIn(fields, current),
    })
    return { metadata, description }
  }
}

/** What the form has no field for stays: operators may have set it. */
const kept = (current: Client) => metadataOf(current)

function newOf(fields: URLSearchParams, offered: Offered) {
  const kind = kinds.get(fields.get('kind') ?? '')
  if (!kind) throw new FormError('kind', 'Choose a type.')
  const algorithm = 'ES256'
  return {
    ...kind,
    grant_types: kind.grant_types.filter((name) => offered.grantTypes.includes(name)),
    id_token_signed_response_alg: algorithm,
    introspection_signed_response_alg: algorithm,
  }
}

function metadataIn(fields: URLSearchParams, current: Client | undefined) {
  const name = fields.get('client_name')?.trim()
  if (!name) throw new FormError('client_name', 'Enter a name.')
  const redirectUris = wordsOf(fields.get('redirect_uris'))
  const isSame = current?.redirectUris.join(' ') === redirectUris.join(' ')
  return {
    client_name: name,
    client_uri: fields.get('client_uri')?.trim() || null,
    redirect_uris: redirectUris,
    // It follows from the redirect URIs.
    application_type: isSame ? current.applicationType : null,
    scope: scopeIn(fields, current).join(' '),
  }
}

/** The boxes that are ticked, and what an operator has added beyond them. */
function scopeIn(fields: URLSearchParams, current: Client | undefined): string[] {
  const ticked = fields.getAll('scope').flatMap(wordsOf)
  if (!ticked.every(isStandardScope)) throw new FormError('scope', 'Choose from the listed scopes.')
  const added = scopeWords(current?.scope ?? '').filter((word) => !isStandardScope(word))
  const scope = [...ticked, ...added]
  const asksPeople = current?.grantTypes.some((grant) => grant !== 'client_credentials') ?? true
  if (scope.length === 0 && asksPeople) throw new FormError('scope', 'Choose at least one scope.')
  // In the order in which it is stored, so that the same boxes are no change.
  const stored = scopeWords(current?.scope ?? '')
  return [...new Set([...stored.filter((word) => scope.includes(word)), ...scope])]
}

const maxDescription = 500

function descriptionIn(fields: URLSearchParams): string {
  const text = (fields.get('description') ?? '').replaceAll(/\s+/g, ' ').trim()
  if (text.length > maxDescription)
    throw new FormError(
      'description',
      `The description must have at most ${maxDescription} characters.`,
    )
  // As for names: operators read it when they decide.
  if (!isPlainText(text)) throw new FormError('description', 'The description must be plain text.')
  return text
}

/** The form as it would have to be sent to make this app. */
export function fieldsOf(client: Client): URLSearchParams {
  const { name, description, uri, redirectUris, scope } = client
  const fields = new URLSearchParams({
    client_name: name,
    description,
    client_uri: uri ?? '',
    redirect_uris: redirectUris.join('\n'),
  })
  for (const word of scopeWords(scope).filter(isStandardScope)) fields.append('scope', word)
  return fields
}
