/** The form that creates accounts: closed until somebody wants one. */
import { html } from 'hono/html'
import { choices, disclosure, postForm, textField } from '#/web/components.ts'
import type { Html } from '#/web/html.ts'

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
