import { html } from 'hono/html'
import type { Offered } from '#/protocol/offered.ts'
import { standardScopes } from '#/protocol/scopes.ts'
import { type ChoiceProps, postForm, problem } from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { filledIn, problemId, type RefusedForm } from '#/web/pages/refused-form.ts'
import { describeScopes } from '#/web/pages/scope-descriptions.ts'

interface AppFormProps {
  readonly csrfToken: string
  readonly offered: Offered
  readonly refused?: RefusedForm | undefined
  /** The app that is changed, and its version; without it the form makes a new one. */
  readonly edited?: { readonly clientId: string; readonly seen: string }
}

export function appForm({ csrfToken, offered, refused, edited }: AppFormProps): Html {
  const { text, area, choices: boxes } = filledIn(refused)
  const action = edited ? `/apps/${edited.clientId}` : '/apps'
  return html`<section class="card padded">${postForm(
    { action, csrfToken, className: 'stack' },
    html`${problem(refused?.problem, problemId)}
${edited && html`<input type="hidden" name="seen" value="${edited.seen}">`}
${text({
  name: 'client_name',
  label: 'Name',
  maxLength: 100,
  hint: 'Shown to users when they are asked for consent.',
})}
${area({
  name: 'description',
  label: 'Description',
  optional: true,
  hint: 'What the app is for. Shown to the administrator who approves it.',
})}
${text({ name: 'client_uri', label: 'Website', type: 'url', optional: true })}
${!edited && boxes('Type', kinds)}
${area({
  name: 'redirect_uris',
  label: 'Redirect URIs',
  optional: true,
  hint: 'One per line: https, http on the loopback interface (any port), or a private-use scheme such as com.example.app:/callback. Devices need none.',
})}
${boxes('Scopes', scopes, offered.scopes)}
<div class="form-end"><button class="button button-primary">${edited ? 'Save changes' : 'Register app'}</button></div>`,
  )}</section>`
}

const radio = { type: 'radio', name: 'kind' } as const

const kinds: readonly ChoiceProps[] = [
  {
    ...radio,
    value: 'web',
    label: 'Web server',
    detail: 'Runs on a server that can keep a secret.',
    checked: true,
  },
  {
    ...radio,
    value: 'native',
    label: 'Browser or native app',
    detail: 'Runs on users’ devices. Has no secret.',
  },
  {
    ...radio,
    value: 'device',
    label: 'Device or TV',
    detail: 'Shows a code that users enter on another device. Has no secret.',
  },
]

const scopes: readonly ChoiceProps[] = describeScopes(standardScopes.join(' ')).map(
  ({ name, title }) => ({
    name: 'scope',
    value: name,
    label: name,
    detail: title,
    checked: name === 'openid',
  }),
)
