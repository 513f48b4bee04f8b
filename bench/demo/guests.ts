/**
 * Access that is taken away. Each story has an account of its own, which the administrator makes first and deletes at
 * last, so that it is known exactly what ends with it.
 */
import { type Browser, idsIn } from '../browser.ts'
import {
  createAccount,
  createApp,
  disable,
  editApp,
  enable,
  endApp,
  endedFamilies,
  regenerateSecret,
  remove,
  resetPassword,
  setAppStatus,
} from './admin.ts'
import {
  authenticated,
  authorizationPath,
  expectError,
  lookUpInVain,
  postToken,
  refresh,
  refreshFields,
  refreshInVain,
  revoked,
} from './apps.ts'
import {
  arrive,
  changePassword,
  ended,
  endedAll,
  failToSignIn,
  look,
  lookInVain,
  protocolError,
  signOut,
} from './people.ts'
import { letIn, type Scenario } from './scenarios.ts'
import { type App, did, expectThat, nextName, type Person, type World } from './world.ts'

type Story = (world: World, guest: Person) => Promise<void>

export const withGuest =
  (story: Story): Scenario =>
  async (world) => {
    const guest = await createAccount(world, 'guest')
    await story(world, guest)
    await remove(world, guest)
  }

const lostPhone = withGuest(async (world, guest) => {
  const phone = await arrive(world, guest)
  const laptop = await arrive(world, guest)
  const [id] = idsIn(await look(laptop), '/account/devices', 'revoke')
  expectThat(id !== undefined, 'the other device is not listed')
  await laptop.submit('/account/devices', `/account/devices/${id}/revoke`)
  ended(world, guest, phone, 'revoked')
  await lookInVain(phone)
  await signOut(world, guest, laptop)
})

const everywhereElse = withGuest(async (world, guest) => {
  const here = await arrive(world, guest)
  const elsewhere = [await arrive(world, guest), await arrive(world, guest)]
  await here.submit('/account/devices', '/account/devices/revoke-others')
  endedAll(world, guest, 'revoked', here)
  for (const browser of elsewhere) await lookInVain(browser)
  await look(here)
})

const newPassword = withGuest(async (world, guest) => {
  const here = await arrive(world, guest)
  const elsewhere = await arrive(world, guest)
  const tokens = await letIn(world, guest, here, world.shop)
  const old = guest.password
  await changePassword(world, guest, here, '/account/security')
  endedAll(world, guest, 'password_changed', here)
  endedFamilies(world, guest, 'password_changed')
  await lookInVain(elsewhere)
  await lookUpInVain(world, tokens.access, 'invalid')
  await failToSignIn(world, { username: guest.username, password: old }, 'wrong_password')
  await arrive(world, guest)
})

const suspension = withGuest(async (world, guest) => {
  const browser = await arrive(world, guest)
  const tokens = await letIn(world, guest, browser, world.cli)
  await disable(world, guest)
  await lookInVain(browser)
  await lookUpInVain(world, tokens.access, 'invalid')
  await failToSignIn(world, guest, 'account_inactive')
  await enable(world, guest)
  await arrive(world, guest)
})

const forgottenPassword = withGuest(async (world, guest) => {
  const browser = await arrive(world, guest)
  await letIn(world, guest, browser, world.cli)
  await resetPassword(world, guest)
  await lookInVain(browser)
  const back = await arrive(world, guest)
  const { location } = await back.get(authorizationPath(world.cli, undefined, { prompt: 'none' }))
  expectThat(location.includes('error=interaction_required'), 'an app was let in too early')
  protocolError(world, '/oauth/authorize', 'interaction_required')
  await changePassword(world, guest, back, '/account/password')
  await look(back)
})

const changeOfHeart = withGuest(async (world, guest) => {
  const browser = await arrive(world, guest)
  const { shop } = world
  const tokens = await letIn(world, guest, browser, shop)
  await disconnect(world, guest, browser)
  await lookUpInVain(world, tokens.access, 'invalid')
  // A second time nobody is asked.
  await letIn(world, guest, browser, shop)
  await takeBack(world, guest, browser)
  await refreshInVain(world, { app: shop, token: tokens.refresh }, 'revoked')
})

/** The one app that a guest is connected to. */
async function disconnect(world: World, guest: Person, browser: Browser): Promise<void> {
  const page = '/account/tokens'
  const [id] = idsIn(await look(browser, page), page, 'revoke')
  expectThat(id !== undefined, 'the app is not listed')
  const answer = await browser.submit(page, `${page}/${id}/revoke`)
  expectThat(answer.location.includes('ended'), 'the app was not disconnected')
  endedFamilies(world, guest, 'user_request')
}

/** The one consent that a guest has given. */
export async function takeBack(world: World, guest: Person, browser: Browser): Promise<void> {
  const page = '/account/authorizations'
  const [id] = idsIn(await look(browser, page), page, 'revoke')
  expectThat(id !== undefined, 'the app is not listed')
  const answer = await browser.submit(page, `${page}/${id}/revoke`)
  expectThat(answer.location.includes('revoked'), 'the consent was not revoked')
  guest.consents.clear()
  did(world, 'oauth_consent_revoked_total', { actor: 'user' })
  did(world, 'authgate_consents_active', {}, -1)
  endedFamilies(world, guest, 'consent_revoked')
}

/** An app is switched off and on again, and is given a new secret. */
export const seasonalApp = (app: App): Scenario =>
  withGuest(async (world, guest) => {
    const browser = await arrive(world, guest)
    const tokens = await letIn(world, guest, browser, app)
    await setAppStatus(world, app, 'disable')
    revoked(world, tokens.family, 'client_inactive')
    await turnedAway(world, app, tokens.refresh)
    const asked = await browser.get(authorizationPath(app))
    expectThat(asked.status === 400, `a disabled app was answered ${asked.status}`)
    protocolError(world, '/oauth/authorize', 'invalid_client')
    await setAppStatus(world, app, 'enable')
    const before = { ...app }
    await regenerateSecret(world, app)
    await turnedAway(world, before, tokens.refresh)
    await refresh(world, await letInAgain(world, guest, browser, app))
  })

const shortLivedApp = withGuest(async (world, guest) => {
  const app = await createApp(world, nextName('Popup'))
  await editApp(world, app, nextName('Popup'))
  const browser = await arrive(world, guest)
  const first = await letIn(world, guest, browser, app)
  await endApp(world, { app, guest }, 'revoke-all')
  await lookUpInVain(world, first.access, 'invalid')
  const second = await letIn(world, guest, browser, app)
  await endApp(world, { app, guest }, 'delete')
  await lookUpInVain(world, second.access, 'invalid')
})

const letInAgain = (world: World, guest: Person, browser: Browser, app: App) =>
  letIn(world, guest, browser, app, 'openid offline_access')

async function turnedAway(world: World, app: App, token: string) {
  expectError(await postToken(world, app, refreshFields(token), 'post'), 401, 'invalid_client')
  authenticated(world, 'post', 'failure')
  protocolError(world, '/oauth/token', 'invalid_client')
}

export const guestStories: readonly Scenario[] = [
  lostPhone,
  everywhereElse,
  newPassword,
  suspension,
  forgottenPassword,
  changeOfHeart,
  shortLivedApp,
]
