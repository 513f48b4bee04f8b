/** RFC 8628 §3.4. */
export const deviceCodeGrantType = 'urn:ietf:params:oauth:grant-type:device_code'

/** RFC 8693 §2.1. */
export const tokenExchangeGrantType = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** RFC 6749 §4: the grant types this server answers. Discovery, validation and metric labels follow from this list. */
export const grantTypes = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  deviceCodeGrantType,
  tokenExchangeGrantType,
] as const
export type GrantType = (typeof grantTypes)[number]
