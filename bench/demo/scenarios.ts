/** Everyday life: short stories, each told from its beginning to its end, by people who share nothing but the server. */
import type { Browser } from '../browser.ts'
import {
  allScopes,
  authenticated,
  authorizationPath,
  call,
  codeFields,
  createFamily,
  expectError,
  lookUp,
  lookUpInVain,
  postToken,
  redeem,
  refresh,
  refreshInVain,
  revoked,
  type Tokens,
} from './apps.ts'
import {
  approve,
  arrive,
  deny,
  ended,
  failToSignIn,
  look,
  lookInVain,
  protocolError,
  signIn,
  signOut,
} from './people.ts'
import {
  type App,
  did,
  expectThat,
  lives,
  openFreshBrowser,
  type Person,
  pause,
  type World,
} from './world.ts'

export type Scenario = (world: World, person: Person) => Promise<void>

/** Everything an app needs, in a browser that is signed in. */
export async function letIn(
  world: World,
  person: Person,
  browser: Browser,
  app: App,
  scope = allScopes,
): Promise<Tokens> {
  const family = createFamily(person, app, scope)
  const path = authorizationPath(app, scope)
  return redeem(world, family, await approve(world, person, { browser, family, path }))
}

const closedLaptop: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  await look(browser)
  // The lid closes. The sweeper will find the session once its idle time is over.
  ended(world, person, browser, 'idle_timeout')
}

const glance: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  for (const path of ['devices', 'authorizations', 'tokens', 'security']) {
    await look(browser, `/account/${path}`)
    await pause(50, 300)
  }
  await signOut(world, person, browser)
  await lookInVain(browser)
}

/** The app sends an anonymous browser, which signs in on the way. */
const shopping: Scenario = async (world, person) => {
  const browser = openFreshBrowser(world)
  const family = createFamily(person, world.shop)
  const sent = await browser.get(authorizationPath(world.shop))
  const redirect = new URL(sent.location, world.server.origin).searchParams.get('redirect')
  expectThat(redirect !== null, 'the authorization request did not lead to the sign-in page')
  await signIn(world, person, browser, { redirect })
  const code = await approve(world, person, { browser, family, path: redirect })
  const tokens = await redeem(world, family, code)
  await lookUp(world, tokens)
  await pause(50, 300)
  await lookUp(world, await refresh(world, tokens))
  await signOut(world, person, browser)
}

const commandLine: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const first = await letIn(world, person, browser, world.cli)
  const second = await refresh(world, first)
  // The answer was lost on the way; the app tries again and is given the same refresh token.
  const again = await refresh(world, first, 'grace')
  expectThat(again.refresh === second.refresh, 'the retry was given another refresh token')
  await lookUp(world, again)
  await signOut(world, person, browser)
}

const secondThoughts: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const family = createFamily(person, world.cli)
  await deny(world, { browser, family, path: authorizationPath(world.cli) })
  await signOut(world, person, browser)
}

const fatFingers: Scenario = async (world, person) => {
  const browser = openFreshBrowser(world)
  const typo = { username: person.username, password: `${person.password}x` }
  await failToSignIn(world, typo, 'wrong_password', browser)
  await pause(100, 400)
  await signIn(world, person, browser)
  await signOut(world, person, browser)
}

const wrongDoor: Scenario = async (world, { password }) => {
  await failToSignIn(world, { username: `nobody-${Date.now()}`, password }, 'unknown_user')
}

const stolenRefreshToken: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const first = await letIn(world, person, browser, world.cli)
  const latest = await refresh(world, await refresh(world, first))
  await refreshInVain(world, { app: world.cli, token: first.refresh }, 'reuse')
  revoked(world, first.family, 'reuse')
  await lookUpInVain(world, latest.access, 'invalid')
  await signOut(world, person, browser)
}

const stolenCode: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const family = createFamily(person, world.shop)
  const path = authorizationPath(world.shop)
  const code = await approve(world, person, { browser, family, path })
  const tokens = await redeem(world, family, code, 'post')
  expectError(
    await postToken(world, world.shop, codeFields(world.shop, code), 'basic'),
    400,
    'invalid_grant',
  )
  authenticated(world, 'basic', 'success')
  protocolError(world, '/oauth/token', 'invalid_grant')
  did(world, 'authgate_authorization_codes_total', { event: 'replayed' })
  revoked(world, family, 'code_replay')
  await lookUpInVain(world, tokens.access, 'invalid')
  await signOut(world, person, browser)
}

const impostorApps: Scenario = async (world) => {
  const fields = { grant_type: 'refresh_token', refresh_token: 'none' }
  const impostors = [
    ['basic', { ...world.shop, secret: 'guessed' }],
    ['post', { ...world.shop, secret: 'guessed' }],
    ['none', { clientId: world.shop.clientId }],
  ] as const
  for (const [how, app] of impostors) {
    expectError(await postToken(world, app, fields, how), 401, 'invalid_client')
    authenticated(world, how, 'failure')
    protocolError(world, '/oauth/token', 'invalid_client')
  }
}

const awkwardRefreshes: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const narrow = await letIn(world, person, browser, world.cli, 'openid offline_access')
  const { cli: app, shop } = world
  await refreshInVain(world, { app, token: 'made-up' }, 'invalid')
  await refreshInVain(world, { app: shop, token: narrow.refresh }, 'client_mismatch')
  await refreshInVain(world, { app, token: narrow.refresh, scope: 'email' }, 'scope')
  await signOut(world, person, browser)
}

const sameBrowserTwice: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  await pause(50, 300)
  await signIn(world, person, browser)
  await signOut(world, person, browser)
}

const stolenCookie: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const thief = browser.stolenBy('curl/8.14.1')
  await lookInVain(thief)
  ended(world, person, browser, 'fingerprint_mismatch')
  await lookInVain(browser)
}

const wrongTurns: Scenario = async (world) => {
  const stranger = openFreshBrowser(world)
  for (const path of ['/', '/nothing/here', '/wp-login.php', '/livez', '/health', '/login']) {
    const { status } = await stranger.get(path)
    expectThat([200, 303, 404].includes(status), `${path} answered ${status}`)
  }
  for (const method of ['DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'PUT'])
    await call(world, '/oauth/token', { method })
  for (const name of ['openid-configuration', 'oauth-authorization-server', 'jwks.json'])
    expectThat((await call(world, `/.well-known/${name}`)).status === 200, `no ${name}`)
}

/** A session that is used all the time until it is as old as a session may become. */
export const sitter: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const deadline = performance.now() + lives.longestSession * 1000
  const willSeeIt = () => !world.stopping || deadline - performance.now() < lives.idle * 1000
  while (performance.now() < deadline - 2500 && willSeeIt()) {
    await look(browser)
    await pause(1000, 1500)
  }
  if (!willSeeIt()) return signOut(world, person, browser)
  ended(world, person, browser, 'timeout')
  await pause(4000, 4000)
  await lookInVain(browser)
}

/** Comes back when everything has expired. */
export const nightOwl: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const tokens = await letIn(world, person, browser, world.shop)
  ended(world, person, browser, 'idle_timeout')
  const later = lives.token * 1000 + 1500
  await pause(later, later)
  await lookUpInVain(world, tokens.access, 'expired')
  await refreshInVain(world, { app: world.shop, token: tokens.refresh }, 'expired')
  await lookInVain(browser)
}

/** In the order in which they are told first. */
export const everyday: readonly Scenario[] = [
  closedLaptop,
  glance,
  shopping,
  commandLine,
  secondThoughts,
  fatFingers,
  wrongDoor,
  stolenRefreshToken,
  stolenCode,
  impostorApps,
  awkwardRefreshes,
  sameBrowserTwice,
  stolenCookie,
  wrongTurns,
]
