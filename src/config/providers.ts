/** The identity providers through which people may sign in. */
import { z } from 'zod'
import { flag, httpUrl, isPrivateWay, positiveDuration } from './parsers.ts'
import { type Area, type Settings, setting, type ValuesOf } from './setting.ts'

/** Whoever listens on the way could sign in as anybody, so only this machine is asked in the clear. */
const isPrivateUrl = (text: string) => URL.canParse(text) && isPrivateWay(new URL(text))
const url = httpUrl.refine(isPrivateUrl, 'write an https:// URL')
/** Kept to the letter: an issuer is compared, not visited. */
const issuer = z
  .string()
  .refine((text) => httpUrl.safeParse(text).success && isPrivateUrl(text), 'write an https:// URL')

const words = z.string().transform((text) => text.split(/[\s,]+/).filter((word) => word !== ''))

const enabled = setting(
  flag,
  'true',
  '`false` disables it; otherwise it is enabled once client ID and secret are set.',
)
const clientId = (provider: string, source: string) =>
  setting(
    z.string(),
    undefined,
    `Client id of this server at ${provider}; its redirect URI there is \`BASE_URL/auth/callback/${source}\`.`,
  )
const clientSecret = setting(z.string(), undefined, 'Client secret of this server there.', {
  secret: true,
})
const scopes = <D extends string>(usual: D) => setting(words, usual, 'Scopes to request there.')
const trustEmail = setting(
  flag,
  'false',
  'Link a sign-in to the existing user with an email address that the provider calls verified: its operator can then sign in as anyone here.',
)

const settings = {
  GITHUB_URL: setting(
    url,
    'https://github.com',
    'URL of GitHub; another one for GitHub Enterprise Server.',
  ),
  GITHUB_OAUTH_ENABLED: enabled,
  GITHUB_CLIENT_ID: clientId('GitHub', 'github'),
  GITHUB_CLIENT_SECRET: clientSecret,
  GITHUB_SCOPES: scopes('user:email'),
  GITHUB_TRUST_EMAIL: setting(
    flag,
    'true',
    'Link a sign-in to the existing user with the primary email address that GitHub has verified.',
  ),
  GITEA_URL: setting(url, undefined, 'URL of your Gitea.'),
  GITEA_OAUTH_ENABLED: enabled,
  GITEA_CLIENT_ID: clientId('Gitea', 'gitea'),
  GITEA_CLIENT_SECRET: clientSecret,
  GITEA_SCOPES: scopes('read:user'),
  GITEA_TRUST_EMAIL: trustEmail,
  GITLAB_URL: setting(url, 'https://gitlab.com', 'URL of GitLab; another one for your own.'),
  GITLAB_OAUTH_ENABLED: enabled,
  GITLAB_CLIENT_ID: clientId('GitLab', 'gitlab'),
  GITLAB_CLIENT_SECRET: clientSecret,
  GITLAB_SCOPES: scopes('read_user'),
  GITLAB_TRUST_EMAIL: trustEmail,
  MICROSOFT_URL: setting(
    url,
    'https://login.microsoftonline.com',
    'URL of the Microsoft sign-in service; another one for national clouds.',
  ),
  MICROSOFT_TENANT_ID: setting(
    z.string().regex(/^[\w.-]+$/, 'write the id or the domain of a tenant'),
    'common',
    'Whose accounts may sign in: the ID of your tenant, or `common`, `organizations` or `consumers` for all.',
  ),
  MICROSOFT_OAUTH_ENABLED: enabled,
  MICROSOFT_CLIENT_ID: clientId('Microsoft Entra ID', 'microsoft'),
  MICROSOFT_CLIENT_SECRET: clientSecret,
  MICROSOFT_SCOPES: scopes('openid profile email'),
  MICROSOFT_TRUST_EMAIL: setting(
    flag,
    'false',
    'Link a sign-in to the existing user with the same email address. Only for your own tenant, whose administrators decide which addresses its accounts have.',
  ),
  OIDC_ISSUER: setting(
    issuer,
    undefined,
    'Issuer of an OpenID Connect provider, exactly as in its metadata; everything else is discovered.',
  ),
  OIDC_NAME: setting(
    z.string().max(40, 'write at most 40 characters'),
    'single sign-on',
    'Its name on the button: "Continue with …".',
  ),
  OIDC_OAUTH_ENABLED: enabled,
  OIDC_CLIENT_ID: clientId('the OpenID Connect provider', 'oidc'),
  OIDC_CLIENT_SECRET: clientSecret,
  OIDC_SCOPES: scopes('openid profile email'),
  OIDC_TRUST_EMAIL: trustEmail,
  OAUTH_AUTO_REGISTER: setting(flag, 'true', 'Create a user at the first sign-in with a provider.'),
  OAUTH_TIMEOUT: setting(positiveDuration, '15s', 'How long one response of a provider may take.'),
} satisfies Settings

type Values = ValuesOf<typeof settings>

const names = ['GITHUB', 'GITEA', 'GITLAB', 'MICROSOFT', 'OIDC'] as const

function problems(v: Partial<Values>): string[] {
  const isForEverybody = ['common', 'organizations', 'consumers'].includes(
    v.MICROSOFT_TENANT_ID?.toLowerCase() ?? '',
  )
  return [
    ...names.flatMap((name) => halfWritten(v, name)),
    ...(v.GITEA_OAUTH_ENABLED && v.GITEA_CLIENT_ID !== undefined && v.GITEA_URL === undefined
      ? ['GITEA_URL: is required with GITEA_CLIENT_ID.']
      : []),
    ...(v.OIDC_OAUTH_ENABLED && v.OIDC_CLIENT_ID !== undefined && v.OIDC_ISSUER === undefined
      ? ['OIDC_ISSUER: is required with OIDC_CLIENT_ID.']
      : []),
    ...(v.MICROSOFT_TRUST_EMAIL && isForEverybody
      ? [
          'MICROSOFT_TRUST_EMAIL: needs a MICROSOFT_TENANT_ID of your own; in the tenants of others anybody can claim any address.',
        ]
      : []),
    ...(['MICROSOFT_SCOPES', 'OIDC_SCOPES'] as const).flatMap((name) =>
      v[name]?.includes('openid') === false ? [`${name}: must hold openid.`] : [],
    ),
  ]
}

type Name = (typeof names)[number]

function halfWritten(v: Partial<Values>, name: Name): string[] {
  const [id, secret] = [v[`${name}_CLIENT_ID`], v[`${name}_CLIENT_SECRET`]]
  if (v[`${name}_OAUTH_ENABLED`] === false || (id === undefined) === (secret === undefined))
    return []
  return id === undefined
    ? [`${name}_CLIENT_SECRET: needs ${name}_CLIENT_ID beside it.`]
    : [`${name}_CLIENT_ID: needs ${name}_CLIENT_SECRET beside it.`]
}

/** What each has of its own; `client` is undefined where a provider is not set up. */
const read = (v: Values) => ({
  autoRegister: v.OAUTH_AUTO_REGISTER,
  github: { url: v.GITHUB_URL, client: readClient(v, 'GITHUB') },
  gitea: { url: v.GITEA_URL ?? '', client: readClient(v, 'GITEA') },
  gitlab: { url: v.GITLAB_URL, client: readClient(v, 'GITLAB') },
  microsoft: {
    url: v.MICROSOFT_URL,
    tenant: v.MICROSOFT_TENANT_ID,
    client: readClient(v, 'MICROSOFT'),
  },
  oidc: { issuer: v.OIDC_ISSUER ?? '', title: v.OIDC_NAME, client: readClient(v, 'OIDC') },
})

function readClient(v: Values, name: Name) {
  const [clientId, clientSecret] = [v[`${name}_CLIENT_ID`], v[`${name}_CLIENT_SECRET`]]
  if (!v[`${name}_OAUTH_ENABLED`] || clientId === undefined || clientSecret === undefined)
    return undefined
  return {
    clientId,
    clientSecret,
    scopes: v[`${name}_SCOPES`],
    trustEmail: v[`${name}_TRUST_EMAIL`],
    timeoutMs: v.OAUTH_TIMEOUT,
  }
}

export const providers = {
  title: 'Sign-in through other providers',
  settings,
  problems,
  read,
} satisfies Area
