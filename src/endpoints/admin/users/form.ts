/** The form that creates users; collapsed until it is opened. */
import { html } from 'hono/html'
import { minPasswordLength } from '#/domain/users/password-rules.ts'
import { disclosure, postForm, problem, textField } from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { filledIn, problemId, type RefusedForm } from '#/web/pages/refused-form.ts'

export function userForm(csrfToken: string, refused?: RefusedForm): Html {
  const { open, text, choices } = filledIn(refused)
  const weak = refused?.field === 'password' ? refused.problem : undefined
  const fields = [
    text({
      name: 'username',
      label: 'Username',
      maxLength: 100,
      verbatim: true,
    }),
    text({
      name: 'email',
      label: 'Email address',
      type: 'email',
      maxLength: 320,
    }),
    text({
      name: 'full_name',
      label: 'Full name',
      maxLength: 200,
      optional: true,
    }),
    // Never sent back to the browser.
    textField({
      name: 'password',
      label: 'Password',
      type: 'password',
      autocomplete: 'new-password',
      minLength: minPasswordLength,
      optional: true,
      hint: 'Leave empty to generate one, shown once.',
      error: weak,
      autofocus: weak !== undefined,
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
    { title: 'Add a user', open },
    postForm(
      { action: '/admin/users', csrfToken, className: 'stack' },
      html`${problem(weak ? 'The user was not created.' : refused?.problem, problemId)}
<div class="columns">${fields}</div>
${roles}
<div class="form-end"><button class="button button-primary">Add user</button></div>`,
    ),
  )
}
