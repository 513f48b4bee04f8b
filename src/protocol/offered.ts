/** What this server offers of what it can do: a setting takes away, and discovery, forms and answers follow. */
import { type GrantType, grantTypes } from './grant-types.ts'
import { standardScopes } from './scopes.ts'

export interface Offered {
  readonly grantTypes: readonly GrantType[]
  /** Of the standard scopes. */
  readonly scopes: readonly string[]
  /** Whether the refresh tokens of a confidential client can rotate. */
  readonly rotation: boolean
}

/** OIDC Core §11: without refresh tokens, `offline_access` means nothing. */
export const offeredOf = ({
  refreshTokens,
  rotation,
}: {
  refreshTokens: boolean
  rotation: boolean
}): Offered => ({
  grantTypes: grantTypes.filter((name) => refreshTokens || name !== 'refresh_token'),
  scopes: standardScopes.filter((name) => refreshTokens || name !== 'offline_access'),
  rotation: refreshTokens && rotation,
})
