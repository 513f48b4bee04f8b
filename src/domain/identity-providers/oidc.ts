/** Any OpenID Connect issuer, discovered (OIDC Discovery §4), and what Microsoft shares with it. */
import {
  ClientSecretPost,
  type Configuration,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  type IDToken,
} from 'openid-client'
import { z } from 'zod'
import { boundedFetch } from './bounded-fetch.ts'
import {
  createProvider,
  extensionsFor,
  optionalText,
  type Profile,
  type Provider,
  type ProviderKind,
  type ProviderSettings,
  UpstreamError,
} from './provider.ts'

/** What is discovered is believed for so long. */
const hourMs = 60 * 60 * 1000

/** Finds out about an issuer once an hour; a failure is not kept. */
export function discovered(issuer: string): ProviderKind['connect'] {
  let known: { readonly config: Promise<Configuration>; readonly until: number } | undefined
  return ({ clientId, clientSecret, timeoutMs }) => {
    if (known && known.until > Date.now()) return known.config
    const config = discovery(new URL(issuer), clientId, undefined, ClientSecretPost(clientSecret), {
      timeout: timeoutMs / 1000,
      [customFetch]: boundedFetch,
      // OIDC Core §3.1.3.7: signatures are checked although TLS would do.
      execute: [enableNonRepudiationChecks, ...extensionsFor(issuer)],
    })
    known = { config, until: Date.now() + hourMs }
    config.catch(() => {
      known = undefined
    })
    return config
  }
}

const claimsOf = z.object({
  email: optionalText,
  // Apple and others send words: anything but `true` leaves an address unverified.
  email_verified: z.unknown().optional(),
  name: optionalText,
  preferred_username: optionalText,
})

/** The claims of the ID token, and where it leaves out who it is about, those of the userinfo endpoint. */
export const readClaims: ProviderKind['readProfile'] = async (config, tokens) => {
  const idToken = tokens.claims()
  if (!idToken) throw new UpstreamError('invalid_id_token', 'there is no ID token')
  const ask = !optionalText.parse(idToken['email']) && config.serverMetadata().userinfo_endpoint
  const more = ask ? await fetchUserInfo(config, tokens.access_token, idToken.sub) : {}
  return profileOf(idToken, more)
}

/** What OpenID Connect Core §5.1 has for somebody, as far as it can be read. Who it is, the ID token alone says. */
export function profileOf(
  idToken: Readonly<Record<string, unknown>> & Pick<IDToken, 'iss' | 'sub' | 'auth_time'>,
  more: Readonly<Record<string, unknown>> = {},
): Profile {
  const claims = claimsOf.parse({ ...idToken, ...more })
  return {
    issuer: idToken.iss,
    subject: idToken.sub,
    username: claims.preferred_username ?? claims.email?.split('@')[0] ?? '',
    email: claims.email,
    emailVerified: claims.email_verified === true,
    fullName: claims.name ?? '',
    authTime: idToken.auth_time,
  }
}

/** `issuer` to the letter; `title` is what the button calls it. */
export const oidc = (
  { issuer, title }: { issuer: string; title: string },
  settings: ProviderSettings,
): Provider =>
  createProvider(
    { source: 'oidc', title, openid: true, connect: discovered(issuer), readProfile: readClaims },
    settings,
  )
