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
  /** Whether PKCE is asked of a new client, unless whoever makes it decides otherwise. */
  readonly requirePkce?: boolean
  /** The client that is changed, and its version; without it the form makes a new one. */
  readonly edited?: { readonly clientId: string; readonly seen: string }
}

export function clientForm(props: ClientFormProps): Html {
  const { csrfToken, open, offered, refused, edited, requirePkce = false } = props
  const fields = filledIn(refused)
  return disclosure(
    { title: edited ? 'What it is' : 'Add a client', open: open || refused !== undefined },
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
  hint: 'People read it when they are asked for access.',
})}
${text({ name: 'client_uri', label: 'Home page', type: 'url', optional: true })}
</div>`,
  boxes('Type', types),
  area({
    name: 'redirect_uris',
    label: 'Redirect URIs',
    optional: true,
    hint: 'Where people are sent back to; one per line: https, http on the loopback interface (any port), or a private scheme such as com.example.app:/callback.',
  }),
  select({
    name: 'application_type',
    label: 'Application type',
    options: applicationTypeOptions,
  }),
  boxes('How it gets tokens', grants, offered.grantTypes),
  boxes('Scopes it may ask for', scopes, offered.scopes),
  text({
    name: 'other_scopes',
    label: 'Other scopes',
    optional: true,
    verbatim: true,
    hint: 'Words of your own APIs, separated by spaces, such as reports:read.',
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
    label: 'Confidential, with a secret in the form',
    detail: 'For applications that cannot send it in a header.',
  },
  {
    ...radio,
    value: 'private_key_jwt',
    label: 'Confidential, with a key',
    detail: 'Signs with a private key that never leaves it. Needs its public keys, below.',
  },
  {
    ...radio,
    value: 'none',
    label: 'Public',
    detail: 'Runs on people’s devices, in a browser or a terminal. Has no secret.',
  },
]

const grants: readonly ChoiceProps[] = [
  {
    value: 'authorization_code',
    label: 'Authorization code',
    detail: 'People sign in with their browser.',
    checked: true,
  },
  {
    value: 'refresh_token',
    label: 'Refresh token',
    detail: 'Access goes on while they are away.',
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
    detail: 'The application acts for itself.',
  },
  {
    value: 'urn:ietf:params:oauth:grant-type:token-exchange',
    label: 'Token exchange',
    detail: 'A service acts for the user whose token it was sent.',
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
      about: 'Its public keys, and what is signed how.',
      open,
    },
    [
      html`<div class="columns">
${area({ name: 'jwks', label: 'Public keys', optional: true, rows: 5, hint: 'A JWK Set: {"keys": [ … ]}.' })}
${text({
  name: 'jwks_uri',
  label: 'Or where it publishes them',
  type: 'url',
  optional: true,
  hint: 'An https URL of a JWK Set; new keys are noticed.',
})}
</div>`,
      html`<div class="columns columns-narrow">
${select({ name: 'id_token_signed_response_alg', label: 'ID tokens', options: algorithms })}
${select({
  name: 'userinfo_signed_response_alg',
  label: 'Userinfo answers',
  options: [{ value: '', text: 'Plain JSON' }, ...algorithms],
})}
${select({
  name: 'introspection_signed_response_alg',
  label: 'Signed introspection answers',
  options: algorithms,
})}
</div>`,
      boxes('What it has to do', [
        {
          name: 'require_pkce',
          value: 'true',
          label: 'Use PKCE',
          detail: 'A stolen code is worth nothing (RFC 7636). Public clients always have to.',
          checked: requirePkce,
        },
        {
          name: 'require_pushed_authorization_requests',
          value: 'true',
          label: 'Push authorization requests',
          detail: 'No request travels through the browser (RFC 9126).',
        },
        {
          name: 'dpop_bound_access_tokens',
          value: 'true',
          label: 'Prove its key with DPoP',
          detail: 'Stolen access tokens are worth nothing (RFC 9449).',
        },
        {
          name: 'require_signed_request_object',
          value: 'true',
          label: 'Sign authorization requests',
          detail: 'Nobody can change them on the way (RFC 9101).',
        },
      ]),
    ],
  )

const profiles: Readonly<Record<(typeof tokenProfiles)[number], string>> = {
  standard: 'As the server is set up.',
  short: 'For what matters most.',
  long: 'For what people seldom look at.',
}

const refreshTokenModes: readonly ChoiceProps[] = [
  {
    value: 'rotating',
    label: 'Rotate',
    detail: 'Each use replaces the token; a stolen one is noticed.',
    checked: true,
  },
  {
    value: 'fixed',
    label: 'Stay the same',
    detail: 'Until they expire. For confidential clients only.',
  },
].map((mode) => ({ type: 'radio', name: 'refresh_token_mode', ...mode }))

const tokens = ({ open, area, choices: boxes }: Fields, { rotation }: Offered) =>
  fold({ title: 'Tokens and resources', about: 'How long they live, and what for.', open }, [
    boxes(
      'Life of its tokens',
      Object.entries(profiles).map(([value, detail]) => ({
        type: 'radio',
        name: 'token_profile',
        value,
        label: capital(value),
        detail,
        checked: value === 'standard',
      })),
    ),
    ...(rotation ? [boxes('Its refresh tokens', refreshTokenModes)] : []),
    html`<div class="columns">
${area({
  name: 'allowed_resources',
  label: 'Resources it may use',
  optional: true,
  hint: 'APIs that it may ask tokens for (RFC 8707), one URI per line.',
})}
${area({
  name: 'served_resources',
  label: 'Resources it is',
  optional: true,
  hint: 'If it is itself an API: it may inspect and exchange tokens for these.',
})}
</div>`,
    boxes('Claims', [
      {
        name: 'extra_claims',
        value: 'true',
        label: 'Claims of its own',
        detail: 'It may add claims to its access tokens.',
      },
    ]),
  ])

const people = ({ open, text, area, choices: boxes }: Fields) =>
  fold(
    {
      title: 'People and signing out',
      about: 'How it knows them, and how it learns that they left.',
      open,
    },
    [
      html`<div class="columns">
${area({
  name: 'post_logout_redirect_uris',
  label: 'Return addresses after sign-out',
  optional: true,
  hint: 'One per line.',
})}
${text({
  name: 'backchannel_logout_uri',
  label: 'Back-channel logout URI',
  type: 'url',
  optional: true,
  hint: 'Is told when a session ends.',
})}
</div>`,
      boxes('Subjects and sessions', [
        {
          name: 'subject_type',
          value: 'pairwise',
          label: 'Subjects of its own',
          detail: 'Knows people by names that no other client knows.',
        },
        {
          name: 'backchannel_logout_session_required',
          value: 'true',
          label: 'Needs the session in logout tokens',
          detail: 'Is told which session ended (sid).',
        },
      ]),
      text({
        name: 'sector_identifier_uri',
        label: 'Sector identifier URI',
        type: 'url',
        optional: true,
        hint: 'Lists all redirect URIs; for subjects of its own on several hosts.',
      }),
    ],
  )

const capital = (word: string) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`
