/** Components of pages. Every value is escaped. */
import { html } from 'hono/html'
import { attributes, type Html } from './html.ts'
import { type IconName, icons } from './icons.ts'

/** A form that changes something: it posts, and it carries the token that proves the page was ours. */
export const postForm = (
  { action, csrfToken, className }: { action: string; csrfToken: string; className?: string },
  body: Html,
): Html =>
  html`<form method="post" action="${action}"${attributes({ class: className })}>
<input type="hidden" name="csrf_token" value="${csrfToken}">
${body}
</form>`

export interface FieldProps {
  /** Both the name that is posted and, unless `id` says otherwise, the element's id. */
  readonly name: string
  readonly label: string
  readonly id?: string
  readonly type?: 'text' | 'password' | 'email' | 'url'
  readonly value?: string | undefined
  readonly hint?: string
  readonly error?: string | undefined
  /** Id of a text elsewhere on the page that says what is wrong with this field. */
  readonly invalidBecause?: string | undefined
  readonly optional?: boolean
  readonly readOnly?: boolean
  readonly autofocus?: boolean
  readonly autocomplete?: string
  readonly minLength?: number
  readonly maxLength?: number
  /** Names, addresses and secrets, which no phone should correct or capitalise. */
  readonly verbatim?: boolean
}

/** A labelled input; hint and error are tied to it, so a screen reader says them with it. */
export function textField(props: FieldProps): Html {
  const { name, label, type = 'text', value, optional, readOnly } = props
  const id = props.id ?? name
  const input = attributes({
    id,
    name,
    type,
    value,
    required: !(optional || readOnly),
    readonly: readOnly,
    autofocus: props.autofocus,
    autocomplete: props.autocomplete,
    minlength: props.minLength,
    maxlength: props.maxLength,
    ...(props.verbatim && { autocapitalize: 'none', autocorrect: 'off', spellcheck: 'false' }),
    ...description(id, props),
  })
  return html`<div class="field">
${fieldLabel(id, { label, optional })}
<input${input}>
${explanation(id, props)}
</div>`
}

/** A labelled text of several lines. */
export function textArea(props: FieldProps & { readonly rows: number }): Html {
  const { name, rows } = props
  const id = props.id ?? name
  const area = attributes({
    id,
    name,
    rows,
    required: !props.optional,
    spellcheck: 'false',
    ...description(id, props),
  })
  return html`<div class="field">
${fieldLabel(id, props)}
<textarea${area}>${props.value ?? ''}</textarea>
${explanation(id, props)}
</div>`
}

const fieldLabel = (
  id: string,
  { label, optional }: { readonly label: string; readonly optional?: boolean | undefined },
) =>
  html`<label for="${id}">${label}${optional && html` <span class="optional">optional</span>`}</label>`

export interface SelectProps extends FieldProps {
  readonly options: readonly { readonly value: string; readonly text: string }[]
}

/** One of several values, the first unless another is given. */
export function selectField(props: SelectProps): Html {
  const { name, options, value = options[0]?.value } = props
  const id = props.id ?? name
  const choices = options.map(
    (option) =>
      html`<option${attributes({ value: option.value, selected: option.value === value })}>${option.text}</option>`,
  )
  return html`<div class="field">
${fieldLabel(id, props)}
<select${attributes({ id, name, ...description(id, props) })}>${choices}</select>
${explanation(id, props)}
</div>`
}

/** A part of a form that most people can leave closed. */
export const fold = (
  { title, about, open }: { title: string; about: string; open: boolean },
  body: readonly Html[],
): Html =>
  html`<details class="fold"${attributes({ open })}>
<summary class="fold-opener"><span class="fold-title">${title}</span> <span class="hint">${about}</span></summary>
<div class="stack">${body}</div>
</details>`

/** A collapsed card; `open` where there is nothing else to do on the page. */
export const disclosure = ({ title, open }: { title: string; open?: boolean }, body: Html): Html =>
  html`<details class="card disclosure"${attributes({ open })}>
<summary class="disclosure-opener"><span>${title}</span></summary>
<div class="padded">${body}</div>
</details>`

/** Several boxes or buttons under one heading. */
export const choices = (legend: string, options: readonly ChoiceProps[]): Html =>
  html`<fieldset class="choices">
<legend>${legend}</legend>
${options.map(choice)}
</fieldset>`

type Explained = Pick<FieldProps, 'hint' | 'error' | 'invalidBecause'>

function description(id: string, { hint, error, invalidBecause }: Explained) {
  const ids = [error && `${id}-error`, invalidBecause, hint && `${id}-hint`].filter(Boolean)
  return {
    'aria-invalid': error || invalidBecause ? 'true' : undefined,
    'aria-describedby': ids.length > 0 ? ids.join(' ') : undefined,
  }
}

const explanation = (id: string, { hint, error }: Explained): (Html | string)[] => [
  error ? html`<p class="field-error" id="${id}-error">${icons.alert()}${error}</p>` : '',
  hint ? html`<p class="hint" id="${id}-hint">${hint}</p>` : '',
]

export interface ChoiceProps {
  readonly name: string
  readonly value: string
  readonly label: string
  readonly type?: 'checkbox' | 'radio'
  readonly detail?: string
  readonly checked?: boolean
}

/** A checkbox or radio button with its words; the whole line can be pressed. */
export function choice({ name, value, label, type = 'checkbox', detail, checked }: ChoiceProps) {
  const id = `${name}-${value}`
  const input = attributes({
    id,
    type,
    name,
    value,
    checked,
    'aria-describedby': detail && `${id}-detail`,
  })
  return html`<div class="choice">
<input${input}>
<label for="${id}">${label}</label>
${detail && html`<p class="hint" id="${id}-detail">${detail}</p>`}
</div>`
}

/** What has just happened, or nothing. */
export const notice = (text: string | undefined): Html | '' =>
  text
    ? html`<div class="notice notice-good" role="status">${icons.check()}<p>${text}</p></div>`
    : ''

/** What went wrong, or nothing. Fields refer to it by `id`. */
export const problem = (text: string | undefined, id: string): Html | '' =>
  text
    ? html`<div class="notice notice-bad" role="alert" id="${id}">${icons.alert()}<p>${text}</p></div>`
    : ''

/** A warning to read before continuing. */
export const caution = (text: string): Html =>
  html`<div class="notice notice-warn">${icons.alert()}<p>${text}</p></div>`

export type Tone = 'plain' | 'accent' | 'good' | 'warn' | 'bad'

/** One or two words about the thing beside it. */
export const badge = (text: string, tone: Tone = 'plain'): Html =>
  html`<span class="badge badge-${tone}">${text}</span>`

/** A tile with the first letter of a name, in a colour that stays the same for that name. */
export function monogram(name: string, size: 'small' | 'large' = 'small'): Html {
  const letter = [...name.trim()][0]?.toLocaleUpperCase('en') ?? '?'
  const sum = [...name].reduce((total, character) => total + (character.codePointAt(0) ?? 0), 0)
  return html`<span class="monogram monogram-${size} hue-${sum % 6}" aria-hidden="true">${letter}</span>`
}

/** The top of a page: its one h1 and a sentence on what it is for. */
export const pageHeading = (title: string, lead: string, aside: Html | '' = ''): Html =>
  html`<div class="page-heading">
<div><h1>${title}</h1><p class="lead">${lead}</p></div>
${aside}
</div>`

/** One entry of a list of cards: a tile, a title and perhaps an action in one line, the rest below. */
export const listItem = (
  head: { tile: Html; title: Html; action?: Html | undefined; className?: string },
  body: Html,
): Html =>
  html`<li class="card item ${head.className}">
${head.tile}
<div class="item-title">${head.title}</div>
${body}
${head.action && html`<div class="item-action">${head.action}</div>`}
</li>`

/** The actions on one entry; two steps, open and press, so that no single click changes anything. */
export const actionMenu = (
  { label, of }: { label: string; of: string },
  sections: readonly (Html | false)[],
): Html =>
  html`<details class="menu" name="action-menu">
<summary class="button button-small">${label}<span class="visually-hidden"> ${of}</span></summary>
<div class="menu-panel">${sections.map((section) => section && html`<div class="menu-section">${section}</div>`)}</div>
</details>`

/** What cannot be undone takes a step more: opening this, then pressing its button. */
export const confirmation = (opener: string, form: Html): Html =>
  html`<details class="confirm">
<summary class="confirm-opener">${opener}</summary>
${form}
</details>`

/** Says of a list that shows no more than `most` where the rest is; nothing while all of it is shown. */
export const cutOff = (shown: number, most: number, rest: Html | string): Html | '' =>
  shown < most ? '' : html`<p class="aside-note">Only ${most} are shown. ${rest}</p>`

/** Shown where a list would be, when there is nothing to list. */
export const emptyState = (
  icon: IconName,
  { title, text, action = '' }: { title: string; text: string; action?: Html | '' },
): Html =>
  html`<div class="empty card">
<span class="empty-icon">${icons[icon]()}</span>
<h2>${title}</h2>
<p>${text}</p>
${action}
</div>`

/** One fact of a description list. */
export const fact = (term: string, value: Html | string): Html =>
  html`<div><dt>${term}</dt><dd>${value}</dd></div>`

/** A link whose address comes from a client or user: http(s) only, and without a referrer. */
export function outsideLink(uri: string | undefined, text: string): Html | string {
  const web = uri !== undefined && URL.canParse(uri) && /^https?:$/.test(new URL(uri).protocol)
  return web
    ? html`<a href="${uri}" target="_blank" rel="noopener noreferrer">${text}<span class="visually-hidden"> (opens in a new tab)</span></a>`
    : text
}

/** A value to copy: one press selects all of it, and where scripts run a button copies it. */
export const copyable = (label: string, value: string): Html =>
  html`<div class="copyable"><dt>${label}</dt><dd><code>${value}</code><button class="button button-small copy" type="button" hidden>Copy<span class="visually-hidden"> ${label}</span></button><span class="copy-said" role="status"></span></dd></div>`
