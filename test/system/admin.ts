/** What an operator does on the admin pages, for tests that start from it. */
import type { Browser } from '../support/browser.ts'

/** A client with a secret, which the page shows once. */
export async function createConfidentialClient(
  admin: Browser,
  redirectUri: string,
  more: Record<string, string> = {},
): Promise<{ clientId: string; secret: string }> {
  const response = await admin.submit('/admin/clients', '/admin/clients', {
    client_name: 'Example web app',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: 'authorization_code refresh_token',
    redirect_uris: redirectUri,
    scope: 'openid profile email offline_access',
    ...more,
  })
  const page = await response.text()
  const [clientId, secret] = [...page.matchAll(/<code>([^<]+)<\/code>/g)].map(([, text]) => text)
  if (!clientId || !secret) throw new Error(`no client was created (${response.status})`)
  return { clientId, secret }
}
