/** An app's name, website, logo and terms (RFC 7591 §2), as consent pages show them. */
import { html } from 'hono/html'
import type { Client } from '#/domain/clients/clients.ts'
import type { AppContext } from '#/web/request/context.ts'
import { monogram, outsideLink } from './components.ts'
import type { Html } from './html.ts'
import { formatDay } from './times.ts'

export interface ClientBranding {
  readonly name: string
  readonly uri?: string | undefined
  readonly logoUri?: string | undefined
  readonly policyUri?: string | undefined
  readonly tosUri?: string | undefined
  /** How it was registered; undefined if an administrator created it. */
  readonly registration?: Registration | undefined
}

interface Registration {
  readonly by: 'itself' | 'user'
  readonly at: Date
  readonly approvedAt: Date | null
}

/** The branding of a client; allows this page to load its logo. */
export function brandingOf(c: AppContext, client: Client): ClientBranding {
  const logoUri = ownLogo(client)
  if (logoUri !== undefined) c.set('images', [new URL(logoUri).origin])
  return {
    name: client.name,
    uri: client.uri ?? undefined,
    logoUri,
    policyUri: client.policyUri ?? undefined,
    tosUri: client.tosUri ?? undefined,
    registration: registrationOf(client),
  }
}

/** Undefined for clients that an administrator created: only others need approval. */
function registrationOf(client: Client): Registration | undefined {
  const { registrationTokenHash, createdAt: at, approvedAt } = client
  if (registrationTokenHash !== null) return { by: 'itself', at, approvedAt }
  return approvedAt === null ? undefined : { by: 'user', at, approvedAt }
}

/** RFC 7591 §5: who registers by themselves could show anybody's logo, so it has to come from where answers go. */
function ownLogo({ logoUri, redirectUris }: Client): string | undefined {
  if (logoUri === null) return undefined
  const { protocol, hostname } = new URL(logoUri)
  const isOwn = redirectUris.some((uri) => new URL(uri).hostname === hostname)
  return protocol === 'https:' && isOwn ? logoUri : undefined
}

/** Its logo, or the first letter of its name. */
export const clientTile = ({ name, logoUri }: ClientBranding): Html =>
  logoUri === undefined
    ? monogram(name, 'large')
    : html`<img class="monogram monogram-large" src="${logoUri}" alt="" width="56" height="56">`

/** Who registered it, and whether an administrator approved it; nothing for clients that an administrator created. */
export function clientHistory({ registration }: ClientBranding): Html | '' {
  if (!registration) return ''
  const { by, at, approvedAt } = registration
  const start = html`${by === 'itself' ? 'This app registered itself' : 'A user of this server registered this app'} on ${formatDay(at)}`
  const end =
    approvedAt === null
      ? 'it has not been approved'
      : html`an administrator approved it on ${formatDay(approvedAt)}`
  return html`<p class="consent-note">${start}; ${end}.</p>`
}

/** Links to its privacy policy and terms, if it has any. */
export function clientTerms({ name, policyUri, tosUri }: ClientBranding): Html | '' {
  const policy = policyUri !== undefined && outsideLink(policyUri, 'privacy policy')
  const tos = tosUri !== undefined && outsideLink(tosUri, 'terms of service')
  if (!policy && !tos) return ''
  return html`<p class="consent-note">Read the ${policy}${policy && tos && ' and the '}${tos} of ${name}.</p>`
}
