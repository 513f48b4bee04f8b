/** What the administrator does, on the pages under /admin. */
import { type Browser, hiddenField, idsIn, shownIn } from '../browser.ts'
import { allScopes, revoked } from './apps.ts'
import { chooseOwnPassword, endedAll, patiently } from './people.ts'
import {
  type App,
  createPerson,
  did,
  expectThat,
  nextName,
  openFreshBrowser,
  type Person,
  type World,
} from './world.ts'

type Office = Pick<World, 'admin' | 'deeds'>

export async function createAccount(world: World, kind: string): Promise<Person> {
  const username = nextName(kind)
  const answer = await patiently(() =>
    world.admin.submit('/admin/users', '/admin/users', {
      username,
      email: `${username}@example.test`,
      full_name: `Demo ${username}`,
      role: 'user',
    }),
  )
  expectThat(answer.status === 200, `creating ${username} answered ${answer.status}`)
  did(world, 'authgate_users_registered')
  usersActive(world, 1)
  const person = createPerson(username, shownIn(answer.text, 'Password'))
  await chooseOwnPassword(world, person)
  return person
}

/** A confidential app; `more` are further fields of the form. */
export async function createApp(
  { admin, deeds }: Office,
  name: string,
  more: Readonly<Record<string, string>> = {},
): Promise<App> {
  const redirectUri = `https://${name.toLowerCase()}.example.test/callback`
  const answer = await admin.submit('/admin/clients', '/admin/clients', {
    client_name: name,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: 'authorization_code refresh_token',
    redirect_uris: redirectUri,
    scope: allScopes,
    ...more,
  })
  expectThat(answer.status === 200, `creating the app ${name} answered ${answer.status}`)
  const active = 'authgate_oauth_clients_registered{status="active"}'
  deeds.set(active, (deeds.get(active) ?? 0) + 1)
  return {
    clientId: shownIn(answer.text, 'Client ID'),
    redirectUri,
    secret: shownIn(answer.text, 'Client secret'),
  }
}

export async function disable(world: World, person: Person): Promise<void> {
  await decideOn(world, person, 'disable')
  usersActive(world, -1)
  person.active = false
  endedAll(world, person, 'account_inactive')
  endedFamilies(world, person, 'account_inactive')
}

export async function enable(world: World, person: Person): Promise<void> {
  await decideOn(world, person, 'enable')
  usersActive(world, 1)
  person.active = true
}

export async function resetPassword(world: World, person: Person): Promise<void> {
  const answer = await decideOn(world, person, 'reset-password')
  person.password = shownIn(answer, 'Password')
  endedAll(world, person, 'password_changed')
  endedFamilies(world, person, 'password_changed')
}

export async function remove(world: World, person: Person): Promise<void> {
  await decideOn(world, person, 'delete')
  if (person.active) usersActive(world, -1)
  did(world, 'authgate_users_registered', {}, -1)
  endedAll(world, person, 'account_inactive')
  endedFamilies(world, person, 'account_inactive')
  if (person.consents.size > 0)
    did(world, 'oauth_consent_revoked_total', { actor: 'admin' }, person.consents.size)
  did(world, 'authgate_consents_active', {}, -person.consents.size)
}

export async function setAppStatus(
  world: World,
  { clientId }: App,
  verb: 'enable' | 'disable',
): Promise<void> {
  const answer = await world.admin.submit('/admin/clients', `/admin/clients/${clientId}/${verb}`)
  expectThat(answer.location.includes('notice='), `to ${verb} an app answered ${answer.status}`)
  const change = verb === 'enable' ? 1 : -1
  did(world, 'authgate_oauth_clients_registered', { status: 'active' }, change)
  did(world, 'authgate_oauth_clients_registered', { status: 'inactive' }, -change)
  did(world, 'authgate_client_decisions_total', { decision: `${verb}d` })
}

/** Changes an app, as the page shows it. */
export async function editApp(world: World, app: App, name: string): Promise<void> {
  const page = await world.admin.get(`/admin/clients/${app.clientId}/edit`)
  const answer = await world.admin.post(`/admin/clients/${app.clientId}`, {
    csrf_token: hiddenField(page.text, 'csrf_token'),
    seen: hiddenField(page.text, 'seen'),
    client_name: name,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: 'authorization_code refresh_token',
    redirect_uris: app.redirectUri,
    scope: allScopes,
  })
  expectThat(answer.location.endsWith('updated'), `to edit an app answered ${answer.status}`)
  did(world, 'authgate_client_decisions_total', { decision: 'updated' })
}

/** Takes back all that an app was given, or deletes it with that. `guest` is the one person who uses it. */
export async function endApp(
  world: World,
  { app, guest }: { app: App; guest: Person },
  verb: 'revoke-all' | 'delete',
): Promise<void> {
  const answer = await world.admin.submit(
    '/admin/clients',
    `/admin/clients/${app.clientId}/${verb}`,
  )
  expectThat(answer.location.includes('notice='), `to ${verb} an app answered ${answer.status}`)
  if (verb === 'delete') {
    did(world, 'authgate_oauth_clients_registered', { status: 'active' }, -1)
    did(world, 'authgate_client_decisions_total', { decision: 'deleted' })
  }
  endedFamilies(world, guest, verb === 'delete' ? 'client_inactive' : 'admin_request')
  guest.consents.delete(app)
  did(world, 'oauth_consent_revoked_total', { actor: 'admin' })
  did(world, 'authgate_consents_active', {}, -1)
}

/** Decides on an app that waits, as the page shows it. */
export async function decideOnApp(
  world: World,
  clientId: string,
  verb: 'approve' | 'reject',
): Promise<void> {
  const action = `/admin/clients/${clientId}/${verb}`
  const page = await world.admin.get('/admin/clients')
  const form = page.text.slice(page.text.indexOf(`action="${action}"`))
  const answer = await world.admin.post(action, {
    csrf_token: hiddenField(form, 'csrf_token'),
    seen: hiddenField(form, 'seen'),
  })
  const decision = verb === 'approve' ? 'approved' : 'rejected'
  expectThat(answer.location.endsWith(decision), `to ${verb} an app answered ${answer.location}`)
  const status = verb === 'approve' ? 'active' : 'inactive'
  did(world, 'authgate_client_decisions_total', { decision })
  did(world, 'authgate_oauth_clients_registered', { status })
  did(world, 'authgate_oauth_clients_registered', { status: 'pending' }, -1)
}

export async function regenerateSecret(world: World, app: App): Promise<void> {
  const action = `/admin/clients/${app.clientId}/regenerate-secret`
  const answer = await world.admin.submit('/admin/clients', action)
  expectThat(answer.status === 200, `a new secret was answered ${answer.status}`)
  app.secret = shownIn(answer.text, 'Client secret')
}

/** Signs the administrator in for long, with the credentials of the first start. */
export async function openOffice(world: Omit<World, 'admin' | 'shop' | 'cli'>): Promise<Browser> {
  const browser = openFreshBrowser(world)
  const { username, password } = world.server.credentials()
  const answer = await browser.submit('/login', '/login', { username, password, remember_me: '1' })
  expectThat(answer.status === 303, `the administrator's sign-in answered ${answer.status}`)
  return browser
}

/** Finds the account's row and sends one of its forms; answers the page that comes. */
async function decideOn(
  { admin }: World,
  { username }: Person,
  verb: 'disable' | 'enable' | 'reset-password' | 'delete',
): Promise<string> {
  const path = `/admin/users?search=${encodeURIComponent(`${username}@`)}`
  const [id] = idsIn((await admin.get(path)).text, '/admin/users', verb)
  expectThat(id !== undefined, `the page shows no form to ${verb} ${username}`)
  const answer = await patiently(() => admin.submit(path, `/admin/users/${id}/${verb}`))
  expectThat([200, 303].includes(answer.status), `${verb} answered ${answer.status}`)
  return answer.text
}

export function endedFamilies(world: World, person: Person, reason: string): void {
  for (const family of person.families) revoked(world, family, reason)
  person.families.length = 0
}

const usersActive = (world: World, change: number) =>
  did(world, 'authgate_users_active', { auth_source: 'local' }, change)
