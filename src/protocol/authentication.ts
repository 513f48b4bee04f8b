/** How and when a user proved who they are, in words that clients understand. */
import type { LoginSource } from './vocabulary.ts'

/** The one authentication context we can vouch for: a password over a protected connection (OASIS SAML Authentication Context §3.4.14). */
const passwordAcr = 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport'

export const acrValues: readonly string[] = [passwordAcr]

interface Authentication {
  /** RFC 8176. */
  readonly amr: readonly string[] | undefined
  /** OIDC Core §2. */
  readonly acr: string | undefined
  /** OIDC Core §2; null when unknown: a provider may have answered from a session of its own. */
  readonly authTime: Date | null
}

/** What we know of a sign-in: of those that happened elsewhere only what the provider says. */
export const authenticationOf = ({
  loginSource,
  createdAt,
  authTime,
}: {
  readonly loginSource: LoginSource
  readonly createdAt: Date
  readonly authTime: Date | null
}): Authentication =>
  loginSource === 'local' || loginSource === 'http_api'
    ? { amr: ['pwd'], acr: passwordAcr, authTime: createdAt }
    : { amr: undefined, acr: undefined, authTime }
