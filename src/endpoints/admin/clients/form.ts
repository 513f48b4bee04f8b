/** The form that makes a client. Name and redirect URI are enough for most; the rest waits in folds. */

import { html } from 'hono/html'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import type { Offered } from '#/protocol/offered.ts'
import { standardScopes } from '#/protocol/scopes.ts'
import {
  type applicationTypes,
  signingAlgorithms,
  type tokenProfiles,
} from '#/protocol/vocabulary.ts'
import { type ChoiceProps, disclosure, fold, postForm, problem } from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { filledIn, problemId, type RefusedForm } from '#/web/pages/refused-form.ts'
import { describeScopes } from '#/web/pages/scope-descriptions.ts'

export interface ClientFormProps {
  readonly csrfToken: string
  readonly open: boolean
  readonly offered: Offered
  readonly refused?: RefusedForm | undefined
  /** The default of “Require PKCE” for new clients. */
  readonly requirePkce?: boolean
  /** The client that is changed, and its version; without it the form makes a new one. */
  readonly edited?: { readonly clientId: string; readonly seen: string }
}

export function clientForm(props: ClientFormProps): Html {
  const { csrfToken, open, offered, refused, edited, requirePkce = false } = props
  const fields = filledIn(refused)
  return disclosure(
    { title: edited ? 'Client settings' : 'Add a client', open: open || refused !== undefined },
    postForm(
      {
        action: edited ? `/admin/clients/${edited.clientId}` : '/admin/clients',
        csrfToken,
        className: 'stack',
      },
      html`${problem(refused?.problem, problemId)}
${edited && html`<input type="hidden" name="seen" value="${edited.seen}">`}
${basics(fields, offered)}
<div class="folds">
${proofs(fields, requirePkce)}
${tokens(fields, offered)}
${people(fields)}
</div>
<div class="form-end"><button class="button button-primary">${edited ? 'Save changes' : 'Add client'}</button></div>`,
    ),
  )
}

type Fields = ReturnType<typeof filledIn>

const basics = ({ text, area, select, choices: boxes }: Fields, offered: Offered) => [
  html`<div class="columns">
${text({
  name: 'client_name',
  label: 'Name',
  maxLength: 100,
  hint: 'Shown to users when they are asked for consent.',
})}
${text({ name: 'client_uri', label: 'Website', type: 'url', optional: true })}
</div>`,
  boxes('Type', types),
  area({
    name: 'redirect_uris',
    label: 'Redirect URIs',
    optional: true,
    hint: 'One per line: https, http on the loopback interface (any port), or a private-use scheme such as com.example.app:/callback.',
  }),
  select({
    name: 'application_type',
    label: 'Application type',
    options: applicationTypeOptions,
  }),
  boxes('Grant types', grants, offered.grantTypes),
  boxes('Scopes', scopes, offered.scopes),
  text({
    name: 'other_scopes',
    label: 'Other scopes',
    optional: true,
    verbatim: true,
    hint: 'Scopes of your own APIs, separated by spaces, such as reports:read.',
  }),
]

const applicationTypeOptions = [
  { value: '', text: 'As its redirect URIs say' },
  { value: 'web', text: 'Web: https redirect URIs only' },
  { value: 'native', text: 'Native: also loopback and private schemes' },
] as const satisfies readonly { value: (typeof applicationTypes)[number] | ''; text: string }[]

const radio = { type: 'radio', name: 'token_endpoint_auth_method' } as const

const types: readonly ChoiceProps[] = [
  {
    ...radio,
    value: 'client_secret_basic',
    label: 'Confidential, with a secret',
    detail: 'Runs on a server that can keep a secret.',
    checked: true,
  },
  {
    ...radio,
    value: 'client_secret_post',
    label: 'Confidential, with a secret in the request body',
    detail: 'For applications that cannot use HTTP Basic authentication.',
  },
  {
    ...radio,
    value: 'private_key_jwt',
    label: 'Confidential, with a private key',
    detail: 'Signs a JWT with a key that never leaves it. Requires public keys, below.',
  },
  {
    ...radio,
    value: 'none',
    label: 'Public',
    detail: 'Runs on users’ devices, in a browser or a terminal. Has no secret.',
  },
]

const grants: readonly ChoiceProps[] = [
  {
    value: 'authorization_code',
    label: 'Authorization code',
    detail: 'Users sign in with a browser.',
    checked: true,
  },
  {
    value: 'refresh_token',
    label: 'Refresh token',
    detail: 'Access continues while users are away.',
    checked: true,
  },
  {
    value: deviceCodeGrantType,
    label: 'Device code',
    detail: 'For terminals and devices without a browser.',
  },
  {
    value: 'client_credentials',
    label: 'Client credentials',
    detail: 'The application acts on its own behalf.',
  },
  {
    value: 'urn:ietf:params:oauth:grant-type:token-exchange',
    label: 'Token exchange',
    detail: 'A service acts on behalf of the user whose token it received.',
  },
].map((grant) => ({ name: 'grant_types', ...grant }))

const scopes: readonly ChoiceProps[] = describeScopes(standardScopes.join(' ')).map(
  ({ name, title }) => ({ name: 'scope', value: name, label: name, detail: title, checked: true }),
)

const algorithms = signingAlgorithms.map((value) => ({ value, text: value }))

const proofs = ({ open, text, area, select, choices: boxes }: Fields, requirePkce: boolean) =>
  fold(
    {
      title: 'Keys and signatures',
      about: 'Public keys and signing algorithms.',
      open,
    },
    [
      html`<div class="columns">
${area({ name: 'jwks', label: 'Public keys', optional: true, rows: 5, hint: 'A JWK Set: {"keys": [ … ]}.' })}
${text({
  name: 'jwks_uri',
  label: 'JWK Set URL',
  type: 'url',
  optional: true,
  hint: 'Instead of public keys: an https URL, fetched again when keys change.',
})}
</div>`,
      html`<div class="columns columns-narrow">
${select({ name: 'id_token_signed_response_alg', label: 'ID token algorithm', options: algorithms })}
${select({
  name: 'userinfo_signed_response_alg',
  label: 'UserInfo algorithm',
  options: [{ value: '', text: 'Plain JSON' }, ...algorithms],
})}
${select({
  name: 'introspection_signed_response_alg',
  label: 'Introspection algorithm',
  options: algorithms,
})}
</div>`,
      boxes('Requirements', [
        {
          name: 'require_pkce',
          value: 'true',
          label: 'Require PKCE',
          detail:
            'Makes stolen authorization codes useless (RFC 7636). Always required of public clients.',
          checked: requirePkce,
        },
        {
          name: 'require_pushed_authorization_requests',
          value: 'true',
          label: 'Require pushed authorization requests',
          detail: 'Keeps request parameters out of the browser (RFC 9126).',
        },
        {
          name: 'dpop_bound_access_tokens',
          value: 'true',
          label: 'Require DPoP',
          detail: 'Makes stolen access tokens useless (RFC 9449).',
        },
        {
          name: 'require_signed_request_object',
          value: 'true',
          label: 'Require signed authorization requests',
          detail: 'Protects authorization requests from tampering (RFC 9101).',
        },
      ]),
    ],
  )

const profiles: Readonly<Record<(typeof tokenProfiles)[number], string>> = {
  standard: 'The server’s defaults.',
  short: 'For sensitive applications.',
  long: 'For applications that are used rarely.',
}

const refreshTokenModes: readonly ChoiceProps[] = [
  {
    value: 'rotating',
    label: 'Rotate',
    detail: 'Each use replaces the token, so that reuse of a stolen one is detected.',
    checked: true,
  },
  {
    value: 'fixed',
    label: 'Do not rotate',
    detail: 'Valid until they expire. For confidential clients only.',
  },
].map((mode) => ({ type: 'radio', name: 'refresh_token_mode', ...mode }))

const tokens = ({ open, area, choices: boxes }: Fields, { rotation }: Offered) =>
  fold(
    { title: 'Tokens and resources', about: 'Lifetimes, and the APIs that tokens are for.', open },
    [
      boxes(
        'Token lifetime',
        Object.entries(profiles).map(([value, detail]) => ({
          type: 'radio',
          name: 'token_profile',
          value,
          label: capital(value),
          detail,
          checked: value === 'standard',
        })),
      ),
      ...(rotation ? [boxes('Refresh tokens', refreshTokenModes)] : []),
      html`<div class="columns">
${area({
  name: 'allowed_resources',
  label: 'Allowed resources',
  optional: true,
  hint: 'APIs that it can request tokens for (RFC 8707), one URI per line.',
})}
${area({
  name: 'served_resources',
  label: 'Served resources',
  optional: true,
  hint: 'If the client is an API: it can introspect and exchange tokens for these.',
})}
</div>`,
      boxes('Claims', [
        {
          name: 'extra_claims',
          value: 'true',
          label: 'Allow extra claims',
          detail: 'The client can add claims to its access tokens.',
        },
      ]),
    ],
  )

const people = ({ open, text, area, choices: boxes }: Fields) =>
  fold(
    {
      title: 'Users and sign-out',
      about: 'Subject identifiers, and what happens at sign-out.',
      open,
    },
    [
      html`<div class="columns">
${area({
  name: 'post_logout_redirect_uris',
  label: 'Post-logout redirect URIs',
  optional: true,
  hint: 'One per line.',
})}
${text({
  name: 'backchannel_logout_uri',
  label: 'Back-channel logout URI',
  type: 'url',
  optional: true,
  hint: 'Notified when a session ends.',
})}
</div>`,
      boxes('Subjects and sessions', [
        {
          name: 'subject_type',
          value: 'pairwise',
          label: 'Pairwise subject identifiers',
          detail: 'Each user has an identifier that no other client sees.',
        },
        {
          name: 'backchannel_logout_session_required',
          value: 'true',
          label: 'Require the session ID in logout tokens',
          detail: 'Logout tokens say which session ended (sid).',
        },
      ]),
      text({
        name: 'sector_identifier_uri',
        label: 'Sector identifier URI',
        type: 'url',
        optional: true,
        hint: 'Lists all redirect URIs; needed for pairwise identifiers with several hosts.',
      }),
    ],
  )

const capital = (word: string) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`
