/** The way of a browser through the pages of the server, as the suite drives one: it does what each page asks for. */
import type { Browser } from '../browser.ts'

/** What kind of page was shown on the way. */
type Shown = 'login' | 'consent' | 'account' | 'logout' | 'other'

export interface Outcome {
  readonly shown: readonly Shown[]
  /** The pages themselves, in that order. */
  readonly pages: readonly string[]
  /** Of the last answer of the server. */
  readonly status: number
  readonly headers: Headers
  /** Where the browser was sent to in the end; undefined when it stayed. */
  readonly callback: Callback | undefined
}

interface Callback {
  readonly address: string
  /** How the answer travelled. */
  readonly by: 'query' | 'fragment' | 'form_post'
  readonly parameters: Readonly<Record<string, string>>
}

interface Walker {
  readonly browser: Browser
  readonly credentials: { readonly username: string; readonly password: string }
  readonly issuer: string
}

interface How {
  readonly method?: 'GET' | 'POST'
  /** Whether the person knows their password; else they stop at the login page. */
  readonly signIn?: boolean
}

const mostSteps = 15

export async function walk(walker: Walker, address: string, how: How): Promise<Outcome> {
  const { browser, issuer } = walker
  const shown: Shown[] = []
  const pages: string[] = []
  let response = await begin(browser, new URL(address, issuer), how)
  for (let step = 0; step < mostSteps; step += 1) {
    const { status, headers } = response
    const location = headers.get('location')
    const next =
      location === null
        ? read(await response.text(), walker, how)
        : { callback: leave(new URL(location, issuer), issuer), path: location }
    if ('kind' in next) {
      pages.push(next.html)
      if (next.kind) shown.push(next.kind)
    }
    const { callback } = next
    if (callback || next.path === undefined) return { shown, pages, status, headers, callback }
    response = await ('fields' in next && next.fields
      ? browser.post(next.path, next.fields)
      : browser.get(next.path))
  }
  throw new Error(`the way does not end:\n${pages.at(-1)}`)
}

interface Next {
  readonly html: string
  readonly kind: Shown | undefined
  /** Where the answer goes; undefined where the way ends. */
  readonly path: string | undefined
  readonly fields?: Record<string, string> | undefined
  readonly callback?: Callback | undefined
}

/** What a page asks for, and the answer. */
function read(html: string, walker: Walker, how: How): Next {
  const form = formOf(html)
  if (form && !form.action.startsWith('/'))
    return { html, kind: undefined, path: undefined, callback: postedTo(form) }
  const kind = kindOf(form)
  const answer = answerTo(kind, walker, how)
  if (!form || !answer) return { html, kind, path: undefined }
  return { html, kind, path: form.action, fields: { ...form.hidden, ...answer } }
}

const begin = (
  browser: Browser,
  { pathname, search, searchParams }: URL,
  { method }: How,
): Promise<Response> =>
  method === 'POST'
    ? browser.post(pathname, Object.fromEntries(searchParams))
    : browser.get(pathname + search)

/** A redirect, unless it stays on the server. */
function leave(target: URL, issuer: string): Callback | undefined {
  if (target.origin === new URL(issuer).origin) return undefined
  const by = target.hash === '' ? 'query' : 'fragment'
  const parameters =
    by === 'query' ? target.searchParams : new URLSearchParams(target.hash.slice(1))
  return { address: target.href, by, parameters: Object.fromEntries(parameters) }
}

const postedTo = ({ action, hidden }: Form): Callback => ({
  address: action,
  by: 'form_post',
  parameters: hidden,
})

interface Form {
  readonly action: string
  readonly hidden: Readonly<Record<string, string>>
  readonly html: string
}

/** The first form of the page's content that does not sign out. */
function formOf(html: string): Form | undefined {
  const found = /<form method="post" action="(?!\/logout")([^"]*)"[^>]*>(.*?)<\/form>/s.exec(
    html.slice(html.indexOf('<main')),
  )
  if (!found) return undefined
  const [, action = '', inside = ''] = found
  const hidden = [...inside.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
  return {
    action: decode(action),
    hidden: Object.fromEntries(hidden.map(([, name = '', value = '']) => [name, decode(value)])),
    html: inside,
  }
}

function kindOf(form: Form | undefined): Shown {
  if (!form) return 'other'
  if (form.html.includes('name="password"')) return 'login'
  if (form.html.includes('value="approve"')) return 'consent'
  if (form.html.includes('value="continue"')) return 'account'
  return form.action === '/oauth/logout/answer' ? 'logout' : 'other'
}

/** What to fill in; undefined where the person stops. */
function answerTo(
  kind: Shown,
  { credentials }: Walker,
  { signIn = true }: How,
): Record<string, string> | undefined {
  const { username, password } = credentials
  const answers: Partial<Record<Shown, Record<string, string>>> = {
    ...(signIn && { login: { username, password } }),
    consent: { action: 'approve' },
    account: { action: 'continue' },
    logout: { action: 'sign_out' },
  }
  return answers[kind]
}

const entities: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
}

const decode = (text: string) =>
  text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => entities[entity] ?? '')
