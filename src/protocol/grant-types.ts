/** RFC 6749 §4: the grant types this server answers. Discovery, validation and metric labels follow from this list. */
export const grantTypes = ['authorization_code', 'refresh_token'] as const
export type GrantType = (typeof grantTypes)[number]
