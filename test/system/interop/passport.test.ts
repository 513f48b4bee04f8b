/** passport-openidconnect, the strategy of many Express sites: no discovery, no PKCE, a nonce, the secret in the body. */
import Strategy, { type Profile } from 'passport-openidconnect'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { approve, callback, type Running, startServer } from '../../support/interop.ts'
import { createConfidentialClient } from '../admin.ts'

let running: Running
let strategy: Strategy
beforeAll(async () => {
  running = await startServer()
  const { clientId, secret } = await createConfidentialClient(running.browser, callback)
  const { url } = running.server
  strategy = new Strategy(
    {
      issuer: url,
      authorizationURL: `${url}/oauth/authorize`,
      tokenURL: `${url}/oauth/token`,
      userInfoURL: `${url}/oauth/userinfo`,
      clientID: clientId,
      clientSecret: secret,
      callbackURL: callback,
      scope: 'profile email',
      nonce: true,
      skipUserProfile: false,
    },
    (issuer, profile, done) => done(null, { issuer, ...profile }),
  )
})
afterAll(() => running?.home.remove())

type Outcome = { redirect: string } | { user: Profile & { issuer: string } } | { failed: unknown }

/** One request through the strategy, as passport runs it. */
const authenticate = (request: object) =>
  new Promise<Outcome>((resolve, reject) => {
    const attempt = Object.assign(Object.create(strategy), {
      redirect: (url: string) => resolve({ redirect: url }),
      success: (user: Profile & { issuer: string }) => resolve({ user }),
      fail: (failed: unknown) => resolve({ failed }),
      error: reject,
    })
    attempt.authenticate(request)
  })

it('signs a person in', async () => {
  const session = {}
  const begun = await authenticate({ query: {}, session })
  const back = await approve(running, new URL('redirect' in begun ? begun.redirect : ''))
  const query = Object.fromEntries(back.searchParams)
  expect(await authenticate({ query, session })).toMatchObject({
    user: {
      issuer: running.server.url,
      displayName: 'Administrator',
      emails: [{ value: 'admin@localhost.invalid' }],
    },
  })
})
