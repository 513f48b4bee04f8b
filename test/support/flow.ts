/** The authorization code flow, step by step, as a client and its user walk it. */
import { sha256 } from '#/protocol/secrets.ts'
import type { TestApp } from './app.ts'
import { type Browser, csrfTokenOf, hiddenField } from './browser.ts'
import { redirectUri } from './client.ts'

export const verifier = 'v'.repeat(43)

export const authorizePath = (
  clientId: string,
  more: Record<string, string | undefined> = {},
): string => {
  const parameters: Record<string, string | undefined> = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: 'openid profile email offline_access',
    state: 'state-1',
    nonce: 'nonce-1',
    code_challenge: sha256(verifier),
    code_challenge_method: 'S256',
    ...more,
  }
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined) query.set(name, value)
  return `/oauth/authorize?${query}`
}

/** Answers the consent page that `path` shows; the response sends the browser back to the client. */
export const decide = async (browser: Browser, path: string, action: 'approve' | 'deny') =>
  answerConsent(browser, await browser.get(path), action)

export async function answerConsent(
  browser: Browser,
  page: Response,
  action: 'approve' | 'deny',
): Promise<Response> {
  const html = await page.text()
  return browser.post('/oauth/authorize', {
    csrf_token: csrfTokenOf(html),
    authorization_request: hiddenField(html, 'authorization_request'),
    action,
  })
}

export const parametersOf = (response: Response): Record<string, string> =>
  Object.fromEntries(new URL(response.headers.get('location') ?? 'http://none').searchParams)

/** A code, asking for consent where it is not remembered. */
export async function obtainCode(
  browser: Browser,
  clientId: string,
  more: Record<string, string> = {},
): Promise<string> {
  const path = authorizePath(clientId, more)
  const asked = await browser.get(path)
  const sent = asked.status === 302 ? asked : await decide(browser, path, 'approve')
  return parametersOf(sent)['code'] ?? ''
}

export const postToken = (
  app: Pick<TestApp, 'request'>,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
) =>
  app.request('/oauth/token', {
    method: 'POST',
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })

export const redeemCode = (
  app: Pick<TestApp, 'request'>,
  clientId: string,
  code: string,
  more: Record<string, string> = {},
) =>
  postToken(app, {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    ...more,
  })

interface TokenAnswer {
  access_token: string
  refresh_token: string
  id_token: string
  scope: string
  expires_in: number
}

export async function obtainTokens(
  app: Pick<TestApp, 'request'>,
  browser: Browser,
  clientId: string,
  more: Record<string, string> = {},
) {
  const response = await redeemCode(app, clientId, await obtainCode(browser, clientId, more))
  return (await response.json()) as TokenAnswer
}

/** What the user of a device does: types its code, and answers. */
export async function answerDevice(
  browser: Browser,
  user_code: string,
  action: 'approve' | 'deny',
): Promise<Response> {
  const page = await (await browser.submit('/device', '/device/verify', { user_code })).text()
  return browser.post('/device/decide', {
    csrf_token: csrfTokenOf(page),
    request: hiddenField(page, 'request'),
    user_code: hiddenField(page, 'user_code'),
    action,
  })
}
