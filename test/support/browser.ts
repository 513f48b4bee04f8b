/** A browser without a screen: keeps cookies, fills the forms it finds, follows nothing by itself. */
import type { TestApp } from './app.ts'
import { testPassword } from './people.ts'

const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

export interface Browser {
  readonly cookies: Map<string, string>
  get(path: string): Promise<Response>
  /** Opens `page` for its CSRF token, then posts. */
  submit(page: string, action: string, fields?: Record<string, string>): Promise<Response>
  post(path: string, fields: Record<string, string>): Promise<Response>
  signIn(username: string, more?: Record<string, string>): Promise<Response>
  signOut(): Promise<Response>
  /** The same browser at this moment: a copy of its cookies. */
  clone(): Browser
}

interface Options {
  readonly userAgent?: string
  readonly ip?: string
  readonly cookies?: Map<string, string>
}

export function openBrowser(
  app: Pick<TestApp, 'request'>,
  { userAgent = firefox, ip = '192.0.2.10', cookies = new Map() }: Options = {},
): Browser {
  const send = async (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers)
    headers.set('user-agent', userAgent)
    headers.set('accept', 'text/html')
    if (cookies.size > 0)
      headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '))
    const response = await app.request(path, { ...init, headers, ip })
    for (const line of response.headers.getSetCookie()) keepCookie(cookies, line)
    return response
  }
  const post = (path: string, fields: Record<string, string>) =>
    send(path, {
      method: 'POST',
      body: new URLSearchParams(fields).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
  const browser: Browser = {
    cookies,
    get: (path) => send(path),
    post,
    async submit(page, action, fields = {}) {
      const csrf_token = csrfTokenOf(await (await send(page)).text())
      return post(action, { csrf_token, ...fields })
    },
    signIn: (username, more = {}) =>
      browser.submit(`/login?switch=1`, '/login', { username, password: testPassword, ...more }),
    signOut: () => browser.submit('/account/devices', '/logout'),
    clone: () => openBrowser(app, { userAgent, ip, cookies: new Map(cookies) }),
  }
  return browser
}

export const csrfTokenOf = (html: string): string =>
  /name="csrf_token" value="([^"]+)"/.exec(html)?.[1] ?? ''

export const hiddenField = (html: string, name: string): string =>
  new RegExp(`name="${name}" value="([^"]+)"`).exec(html)?.[1] ?? ''

function keepCookie(cookies: Map<string, string>, line: string) {
  const [pair = '', ...attributes] = line.split('; ')
  const at = pair.indexOf('=')
  const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
  const gone = value === '' || attributes.some((attribute) => /^max-age=0$/i.test(attribute))
  if (gone) cookies.delete(name)
  else cookies.set(name, value)
}
