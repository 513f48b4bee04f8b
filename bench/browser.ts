/** A browser without a screen, over real HTTP: keeps cookies, fills in the forms it finds, follows nothing by itself. */
export interface Answer {
  readonly status: number
  readonly location: string
  readonly headers: Headers
  readonly text: string
}

export interface Browser {
  readonly userAgent: string
  get(path: string): Promise<Answer>
  post(path: string, fields: Readonly<Record<string, string>>): Promise<Answer>
  /** Opens a page for its CSRF token, then posts to `action`. */
  submit(page: string, action: string, fields?: Readonly<Record<string, string>>): Promise<Answer>
  /** The same cookies in other hands. */
  stolenBy(userAgent: string): Browser
}

export interface BrowserOptions {
  readonly origin: string
  readonly userAgent?: string
  /** Where it browses from, as a reverse proxy in front of the server would report it. */
  readonly address: string
  readonly onRequest?: () => void
  readonly cookies?: Map<string, string>
}

export const userAgents = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1',
] as const

export function openBrowser(options: BrowserOptions): Browser {
  const { origin, userAgent = userAgents[0], address, cookies = new Map(), onRequest } = options
  async function send(path: string, init: RequestInit = {}): Promise<Answer> {
    onRequest?.()
    const headers = new Headers(init.headers)
    headers.set('user-agent', userAgent)
    headers.set('accept', 'text/html')
    headers.set('x-forwarded-for', address)
    if (cookies.size > 0)
      headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '))
    const response = await fetch(`${origin}${path}`, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) keepCookie(cookies, line)
    return answerOf(response)
  }
  const post: Browser['post'] = (path, fields) =>
    send(path, { method: 'POST', body: new URLSearchParams(fields) })
  return {
    userAgent,
    get: (path) => send(path),
    post,
    async submit(page, action, fields = {}) {
      const opened = await send(page)
      return post(action, { csrf_token: hiddenField(opened.text, 'csrf_token'), ...fields })
    },
    stolenBy: (thief) => openBrowser({ ...options, userAgent: thief, cookies: new Map(cookies) }),
  }
}

export async function answerOf(response: Response): Promise<Answer> {
  return {
    status: response.status,
    location: response.headers.get('location') ?? '',
    headers: response.headers,
    text: await response.text(),
  }
}

/** The value of a hidden field, or nothing. */
export const hiddenField = (html: string, name: string): string =>
  new RegExp(`name="${name}" value="([^"]+)"`).exec(html)?.[1] ?? ''

/** What the forms of a page act on: the ids in their actions, such as `/admin/users/<id>/disable`. */
export const idsIn = (html: string, folder: string, verb: string): string[] =>
  [...html.matchAll(new RegExp(`action="${folder}/([0-9a-f-]{36})/${verb}"`, 'g'))].map(
    ([, id = '']) => id,
  )

/** What a page shows under a label, such as a secret that is told once. */
export function shownIn(html: string, label: string): string {
  const value = new RegExp(`<dt>${label}</dt>\\s*<dd><code>([^<]+)</code>`).exec(html)?.[1]
  if (value === undefined) throw new Error(`the page does not show ${label}`)
  return value
}

function keepCookie(cookies: Map<string, string>, line: string) {
  const [pair = '', ...attributes] = line.split('; ')
  const at = pair.indexOf('=')
  const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
  if (value === '' || attributes.some((attribute) => /^max-age=0$/i.test(attribute)))
    cookies.delete(name)
  else cookies.set(name, value)
}
