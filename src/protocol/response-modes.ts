/** How the answer of the authorization endpoint travels: OAuth 2.0 Multiple Response Types §2.1, OAuth 2.0 Form Post Response Mode. */
export type ResponseMode = 'query' | 'fragment' | 'form_post'
