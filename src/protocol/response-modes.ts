/** How the answer of the authorization endpoint travels: OAuth 2.0 Multiple Response Types §2.1, OAuth 2.0 Form Post Response Mode. */
export const responseModes = ['query', 'fragment', 'form_post'] as const
export type ResponseMode = (typeof responseModes)[number]

/** Where an answer goes and how: what an authorization request has proven first of all. */
export interface AuthorizationTarget {
  readonly redirectUri: string
  readonly responseMode: ResponseMode
  readonly state: string | null
}

/** A form can only be posted to the web. */
export const supportsResponseMode = (mode: ResponseMode, redirectUri: string): boolean =>
  mode !== 'form_post' || /^https?:/.test(redirectUri)
