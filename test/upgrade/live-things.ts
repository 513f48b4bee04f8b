/**
 * Makes one of everything that an upgrade must not lose, on a running server, and prints what its people and clients keep:
 *
 *   node test/upgrade/live-things.ts URL USERNAME PASSWORD CLIENT_ID > NAME.json
 *
 * The server is of the release that is being left, with DATABASE_URL, SESSION_SECRET='upgrade secret of at least 32 characters', BASE_URL=http://localhost:8080,
 * ENABLE_RATE_LIMIT=false, ENABLE_DYNAMIC_CLIENT_REGISTRATION=true and DYNAMIC_CLIENT_REGISTRATION_STATUS=active. Then stop it, and
 * `pg_dump --inserts --no-owner --no-privileges` beside it makes NAME.sql, without the lines that begin with a backslash.
 */
import { openBrowser } from '../support/browser.ts'
import { answerDevice, obtainCode, redeemCode } from '../support/flow.ts'

const [, , url = '', username = '', password = '', clientId = ''] = process.argv
const server = {
  request: (path: string, init?: RequestInit) =>
    fetch(new URL(path, url), { redirect: 'manual', ...init }),
}

const form = (path: string, fields: Record<string, string>) =>
  server.request(path, { method: 'POST', body: new URLSearchParams(fields) })

const browser = openBrowser(server)
await browser.signIn(username, { password, remember_me: '1' })

const loopback = { redirect_uri: 'http://127.0.0.1:5000/callback' }
const first = await obtainCode(browser, clientId, {
  ...loopback,
  scope: 'openid profile offline_access',
})
const tokens = (await (await redeemCode(server, clientId, first, loopback)).json()) as Record<
  string,
  string
>

const registered = await server.request('/oauth/register', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    client_name: 'An app from before',
    redirect_uris: ['https://app.example.test/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_post',
    scope: 'openid profile offline_access',
  }),
})
const app = (await registered.json()) as Record<string, string>
const appId = app['client_id'] ?? ''
// Not redeemed yet.
const code = await obtainCode(browser, appId, { scope: 'openid profile offline_access' })

const device = (await (
  await form('/oauth/device/code', { client_id: clientId, scope: 'openid' })
).json()) as Record<string, string>
await answerDevice(browser, device['user_code'] ?? '', 'approve')

process.stdout.write(
  `${JSON.stringify(
    {
      madeAt: new Date().toISOString(),
      cookies: [...browser.cookies],
      clientId,
      accessToken: tokens['access_token'],
      refreshToken: tokens['refresh_token'],
      app: {
        id: appId,
        secret: app['client_secret'],
        registrationToken: app['registration_access_token'],
        code,
      },
      deviceCode: device['device_code'],
    },
    null,
    2,
  )}\n`,
)
