/** RFC 8628 §3.4. */
export const deviceCodeGrantType = 'urn:ietf:params:oauth:grant-type:device_code'

/** RFC 6749 §4: the grant types this server answers. Discovery, validation and metric labels follow from this list. */
export const grantTypes = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  deviceCodeGrantType,
  'urn:ietf:params:oauth:grant-type:token-exchange',
] as const
export type GrantType = (typeof grantTypes)[number]
