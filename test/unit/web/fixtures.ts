import {
  type FirstPasswordPageProps,
  renderFirstPasswordPage,
} from '#/endpoints/account/first-password.ts'
import {
  type AuthorizationsPageProps,
  type DevicesPageProps,
  renderAuthorizationsPage,
  renderDevicesPage,
  renderSecurityPage,
  renderTokensPage,
  type SecurityPageProps,
  type TokensPageProps,
} from '#/endpoints/account/pages.ts'
import {
  type ClientSecretPageProps,
  type ClientsPageProps,
  renderClientSecretPage,
  renderClientsPage,
} from '#/endpoints/admin/clients/pages.ts'
import {
  renderUserPasswordPage,
  renderUsersPage,
  type UserPasswordPageProps,
  type UsersPageProps,
} from '#/endpoints/admin/users/pages.ts'
import {
  type ConsentPageProps,
  renderAccountPage,
  renderConsentPage,
} from '#/endpoints/authorize/pages.ts'
import {
  type CodePageProps,
  type ConfirmPageProps,
  renderAnsweredPage,
  renderCodePage,
  renderConfirmPage,
  renderTooLatePage,
} from '#/endpoints/device/pages.ts'
import { type LoginPageProps, renderLoginPage } from '#/endpoints/login/pages.ts'
import { offeredOf } from '#/protocol/offered.ts'
import { type ErrorPageProps, renderErrorPage } from '#/web/pages/error-page.ts'

export const now = new Date('2026-03-04T05:06:07Z')
export const csrfToken = 'csrf-token-of-this-browser'
const before = (minutes: number) => new Date(now.getTime() - minutes * 60_000)

const member = (username: string) => ({
  user: { username, isAdmin: true },
  csrfToken,
  notice: username,
  now,
})

const faceOf = (text: string) => ({
  name: text,
  uri: `https://client.example.test/${text}`,
  logoUri: `https://client.example.test/logo/${text}`,
  policyUri: `https://client.example.test/policy/${text}`,
  tosUri: `https://client.example.test/tos/${text}`,
  registration: { by: 'itself', at: now, approvedAt: now } as const,
})

/** Every property that can hold text holds `text`. */
export const loginProps = (text: string): LoginPageProps => ({
  submission: text,
  csrfToken,
  redirect: text,
  username: text,
  rememberMeEnabled: true,
  providers: [
    { source: 'oidc', title: text, openid: true },
    { source: 'gitea', title: text, openid: false },
  ],
  mustProve: true,
  remember: true,
  error: text,
  notice: text,
  client: faceOf(text),
})

export const consentProps = (text: string): ConsentPageProps => ({
  csrfToken,
  requestId: text,
  client: { ...faceOf(text), redirectHost: text },
  user: { username: text },
  scopes: [
    { name: 'openid', title: text, detail: text },
    { name: text, title: text, detail: text },
  ],
  resources: [text],
  lasting: { accessMs: 3_600_000, refreshMs: undefined, endsWithSession: true },
  alreadyGranted: ['openid'],
  switchAccountHref: text,
})

const accountProps = (text: string) => ({
  csrfToken,
  requestId: text,
  client: { name: text },
  user: { username: text },
  switchAccountHref: text,
})

export const codeProps = (text: string): CodePageProps => ({
  csrfToken,
  user: { username: text },
  value: text,
  prefilled: false,
  refused: true,
  switchAccountHref: text,
})

export const confirmProps = (text: string): ConfirmPageProps => ({
  csrfToken,
  userCode: text,
  id: text,
  client: faceOf(text),
  user: { username: text },
  scopes: [{ name: text, title: text, detail: text }],
  resources: [text],
  lasting: { accessMs: 3_600_000, refreshMs: 90 * 86_400_000, endsWithSession: false },
  alreadyGranted: [],
  origin: { ip: text, isNear: false, requester: text, at: before(2) },
  now,
  switchAccountHref: text,
})

const errorProps = (text: string): ErrorPageProps => ({
  status: 404,
  title: text,
  message: text,
  reference: text,
})

export const devicesProps = (text: string): DevicesPageProps => ({
  ...member(text),
  sessions: [false, true].map((current) => ({
    id: text,
    current,
    browser: text,
    platform: text,
    ip: text,
    createdAt: before(90),
    lastSeenAt: before(3),
    expiresAt: before(-600),
    loginSource: 'local',
    remembered: current,
  })),
})

export const authorizationsProps = (text: string): AuthorizationsPageProps => ({
  ...member(text),
  consents: [
    {
      id: text,
      clientName: text,
      clientUri: `https://client.example.test/${text}`,
      scopes: [{ title: text }],
      grantedAt: before(90),
    },
  ],
})

export const securityProps = (text: string): SecurityPageProps => ({
  ...member(text),
  passwordChangeable: true,
  links: {
    providers: [{ source: 'oidc', title: text, trustEmail: true }],
    identities: [
      { id: text, source: 'oidc', label: text, createdAt: new Date(0), lastUsedAt: new Date(0) },
    ],
  },
  failures: [{ at: new Date(0), ip: text, userAgent: text, count: 3 }],
  errors: { current: text, new: text },
})

const firstPasswordProps = (text: string): FirstPasswordPageProps => ({
  username: text,
  csrfToken,
  redirect: `/oauth/authorize?authorization_request=${text}`,
  errors: { current: text, new: text },
  warning: text,
})

const tokensProps = (text: string): TokensPageProps => ({
  ...member(text),
  grants: [
    {
      familyId: text,
      clientName: text,
      scopes: [{ title: text }],
      issuedAt: before(90),
      lastUsedAt: before(2),
      expiresAt: before(-90),
    },
  ],
})

export const usersProps = (text: string): UsersPageProps => ({
  ...member('somebody else'),
  users: [true, false].map((isActive) => ({
    id: text,
    username: text,
    email: text,
    role: 'admin',
    isActive,
    authSource: 'local',
    createdAt: before(900),
    lastSeenAt: before(9),
  })),
  next: text,
  search: text,
})

const userPasswordProps = (text: string): UserPasswordPageProps => ({
  ...member(text),
  username: text,
  password: text,
})

const listedClient = (text: string, status: 'active' | 'pending' | 'inactive') => ({
  clientId: text,
  nameNotes: [text],
  version: text,
  name: text,
  uri: `https://client.example.test/${text}`,
  type: 'confidential' as const,
  hasSecret: true,
  status,
  redirectUris: [text],
  grantTypes: [text],
  scopes: [text],
  createdAt: before(900),
  updatedAt: before(90),
  settings: { name: text, list: [text, text], keys: [{ kid: text }], none: false },
})

export const clientsProps = (text: string): ClientsPageProps => ({
  requirePkce: true,
  offered: offeredOf({ refreshTokens: true, rotation: true }),
  ...member(text),
  warning: text,
  pending: [listedClient(text, 'pending')],
  pendingCount: 2,
  sent: { search: text },
  next: `/admin/clients?after_id=${encodeURIComponent(text)}`,
  clients: (['active', 'inactive'] as const).map((status) => listedClient(text, status)),
})

const refusedClientProps = (text: string): ClientsPageProps => ({
  ...clientsProps(text),
  refused: {
    values: new URLSearchParams({ client_name: text, client_uri: text, jwks: text }),
    problem: text,
    field: 'client_name',
  },
})

export const clientSecretProps = (text: string): ClientSecretPageProps => ({
  ...member(text),
  clientId: text,
  nameNotes: [text],
  name: text,
  clientSecret: text,
})

/** Every page, drawn with the same text wherever text can be. */
export const pages: Readonly<Record<string, (text: string) => Promise<string>>> = {
  login: async (text) => String(await renderLoginPage(loginProps(text))),
  consent: async (text) => String(await renderConsentPage(consentProps(text))),
  account: async (text) => String(await renderAccountPage(accountProps(text))),
  'device code': async (text) => String(await renderCodePage(codeProps(text))),
  'device confirmation': async (text) => String(await renderConfirmPage(confirmProps(text))),
  'device let in': async (text) =>
    String(await renderAnsweredPage({ action: 'approve', client: { name: text } })),
  'device not let in': async (text) =>
    String(await renderAnsweredPage({ action: 'deny', client: { name: text } })),
  error: async (text) => String(await renderErrorPage(errorProps(text))),
  devices: async (text) => String(await renderDevicesPage(devicesProps(text))),
  authorizations: async (text) => String(await renderAuthorizationsPage(authorizationsProps(text))),
  security: async (text) => String(await renderSecurityPage(securityProps(text))),
  'first password': async (text) => String(await renderFirstPasswordPage(firstPasswordProps(text))),
  tokens: async (text) => String(await renderTokensPage(tokensProps(text))),
  users: async (text) => String(await renderUsersPage(usersProps(text))),
  'user password': async (text) => String(await renderUserPasswordPage(userPasswordProps(text))),
  clients: async (text) => String(await renderClientsPage(clientsProps(text))),
  'refused client': async (text) => String(await renderClientsPage(refusedClientProps(text))),
  'client secret': async (text) => String(await renderClientSecretPage(clientSecretProps(text))),
}

/** The same pages where there is nothing to show, or nothing to do. */
export const sparePages: Readonly<Record<string, () => Promise<string>>> = {
  'bare login': async () =>
    String(
      await renderLoginPage({
        csrfToken,
        submission: '',
        redirect: '/',
        rememberMeEnabled: false,
        providers: [],
        remember: false,
      }),
    ),
  'device code filled in': async () =>
    String(await renderCodePage({ ...codeProps('BCDF-GHJK'), prefilled: true, refused: false })),
  'nothing to answer': async () => String(await renderTooLatePage()),
  'no devices': async () =>
    String(await renderDevicesPage({ ...devicesProps('Ada'), sessions: [] })),
  'no authorizations': async () =>
    String(await renderAuthorizationsPage({ ...authorizationsProps('Ada'), consents: [] })),
  'password kept elsewhere': async () =>
    String(await renderSecurityPage({ ...securityProps('Ada'), passwordChangeable: false })),
  'no tokens': async () => String(await renderTokensPage({ ...tokensProps('Ada'), grants: [] })),
  'no users': async () => String(await renderUsersPage({ ...usersProps('Ada'), users: [] })),
  'no clients': async () =>
    String(await renderClientsPage({ ...clientsProps('Ada'), clients: [], pending: [], sent: {} })),
}
