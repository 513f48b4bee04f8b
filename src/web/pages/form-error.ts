import { OAuthError } from '#/protocol/errors.ts'

/** Why a form was not taken, for the person who sent it. */
export class FormError extends Error {
  override readonly name = 'FormError'
  readonly field: string

  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

/** A refusal in the words of a client's form; throws whatever is none. Messages of the metadata parser begin with the field. */
export function asFormError(error: unknown): FormError {
  if (error instanceof FormError) return error
  if (!(error instanceof OAuthError)) throw error
  const [field = '', ...rest] = error.message.split(' ')
  return new FormError(field, `${labels[field] ?? field} ${rest.join(' ')}.`)
}

const labels: Readonly<Record<string, string>> = {
  client_name: 'The name',
  client_uri: 'The website',
  token_endpoint_auth_method: 'The type',
  redirect_uris: 'Redirect URIs',
  grant_types: 'Grant types',
  scope: 'Scopes',
  jwks: 'Public keys',
  jwks_uri: 'The JWK Set URL',
  post_logout_redirect_uris: 'Post-logout redirect URIs',
  backchannel_logout_uri: 'The back-channel logout URI',
  sector_identifier_uri: 'The sector identifier URI',
}
