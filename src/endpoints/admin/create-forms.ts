/** The forms that create accounts and clients: closed until somebody wants one. */
import { html } from 'hono/html'
import { standardScopes } from '#/protocol/scopes.ts'
import { type ChoiceProps, choice, postForm, textArea, textField } from '#/web/components.ts'
import { attributes, type Html } from '#/web/html.ts'
import { describeScopes } from '#/web/scope-words.ts'

export function userForm(csrfToken: string): Html {
  const fields = [
    textField({
      name: 'username',
      label: 'Username',
      autocomplete: 'off',
      maxLength: 100,
      verbatim: true,
    }),
    textField({
      name: 'email',
      label: 'E-mail address',
      type: 'email',
      autocomplete: 'off',
      maxLength: 320,
    }),
    textField({
      name: 'full_name',
      label: 'Full name',
      autocomplete: 'off',
      maxLength: 200,
      optional: true,
    }),
    textField({
      name: 'password',
      label: 'Password',
      type: 'password',
      autocomplete: 'new-password',
      minLength: 8,
      optional: true,
      hint: 'Leave it empty to have one made, and shown to you once.',
    }),
  ]
  const roles = choices('Role', [
    {
      type: 'radio',
      name: 'role',
      value: 'user',
      label: 'User',
      detail: 'Signs in to apps and manages their own account.',
      checked: true,
    },
    {
      type: 'radio',
      name: 'role',
      value: 'admin',
      label: 'Admin',
      detail: 'Also manages users and clients.',
    },
  ])
  return disclosure(
    { title: 'Add a user' },
    postForm(
      { action: '/admin/users', csrfToken, className: 'stack' },
      html`<div class="columns">${fields}</div>
${roles}
<div class="form-end"><button class="button button-primary">Add user</button></div>`,
    ),
  )
}

/** `open` where there is nothing else to do yet. */
export function clientForm(csrfToken: string, open: boolean): Html {
  const names = [
    textField({
      name: 'client_name',
      label: 'Name',
      autocomplete: 'off',
      maxLength: 100,
      hint: 'People read it when they are asked for access.',
    }),
    textField({
      name: 'client_uri',
      label: 'Home page',
      type: 'url',
      autocomplete: 'off',
      optional: true,
    }),
  ]
  const uris = textArea({
    name: 'redirect_uris',
    label: 'Redirect URIs',
    rows: 3,
    hint: 'One per line: https, http on the loopback interface (any port), or a private scheme such as com.example.app:/callback.',
  })
  return disclosure(
    { title: 'Add a client', open },
    postForm(
      { action: '/admin/clients', csrfToken, className: 'stack' },
      html`<div class="columns">${names}</div>
${choices('Type', clientTypeChoices)}
${uris}
${choices('Scopes it may ask for', scopeChoices)}
<div class="form-end"><button class="button button-primary">Add client</button></div>`,
    ),
  )
}

const clientTypeChoices: readonly ChoiceProps[] = [
  {
    type: 'radio',
    name: 'client_type',
    value: 'confidential',
    label: 'Confidential',
    detail: 'Runs on a server that can keep a secret.',
    checked: true,
  },
  {
    type: 'radio',
    name: 'client_type',
    value: 'public',
    label: 'Public',
    detail: 'Runs on people’s devices, in a browser or a terminal. Has no secret.',
  },
]

const scopeChoices: readonly ChoiceProps[] = describeScopes(standardScopes.join(' ')).map(
  ({ name, title }) => ({ name: 'scope', value: name, label: name, detail: title, checked: true }),
)

const choices = (legend: string, options: readonly ChoiceProps[]) =>
  html`<fieldset class="choices">
<legend>${legend}</legend>
${options.map(choice)}
</fieldset>`

const disclosure = ({ title, open }: { title: string; open?: boolean }, body: Html) =>
  html`<details class="card disclosure"${attributes({ open })}>
<summary class="disclosure-opener"><span>${title}</span></summary>
<div class="padded">${body}</div>
</details>`
