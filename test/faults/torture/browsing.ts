/** People in their browsers: forms are filled in where they are found, and sent again when no answer came. */
import { begin, count, end, find, isHeld, missing, note, type Thing } from './books.ts'
import type { Answer, Patient, Request } from './transport.ts'
import type { Person, Session, World } from './world.ts'

type Jar = Map<string, string>
type Fields = Readonly<Record<string, string>>

/** A page that only a signed-in person sees has sent them to sign in. */
export class SignedOut extends Error {
  override readonly name = 'SignedOut'
}

/** A form was refused again and again: its person cannot go on. */
export class DeadEnd extends Error {
  override readonly name = 'DeadEnd'
}

const userAgent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/** What the form that leads there sends without being filled in. */
export function hiddenFields(html: string, action: string): Fields {
  const from = Math.max(html.indexOf(`action="${action}"`), 0)
  const form = html.slice(from).split('</form>', 1)[0] ?? ''
  const inputs = form.matchAll(/type="hidden" name="([^"]+)" value="([^"]*)"/g)
  return Object.fromEntries([...inputs].map(([, name = '', value = '']) => [name, value]))
}

const withCookies = (jar: Jar, request: Request): Request => ({
  ...request,
  headers: {
    'user-agent': userAgent,
    accept: 'text/html',
    ...(jar.size > 0 && { cookie: [...jar].map((pair) => pair.join('=')).join('; ') }),
  },
})

function keepCookies(world: World, jar: Jar, { headers }: Answer) {
  for (const line of headers['set-cookie'] ?? []) {
    const [pair = '', ...attributes] = line.split('; ')
    const at = pair.indexOf('=')
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
    if (value === '' || attributes.some((attribute) => /^max-age=0$/i.test(attribute)))
      jar.delete(name)
    else jar.set(name, value)
    if (value.length > 40) world.books.secrets.add(value)
  }
}

export async function browse(world: World, jar: Jar, request: Request): Promise<Patient> {
  const patient = await world.transport.patiently(withCookies(jar, request))
  keepCookies(world, jar, patient.answer)
  return patient
}

const leadsToLogin = ({ status, location }: Answer) =>
  status === 303 && new URL(location, 'http://none').pathname === '/login'

/** Sends what `fill` makes of a page, and again from the start where the form was out of date. */
export async function submit(
  world: World,
  jar: Jar,
  { page, action, fill = () => ({}), twice = false }: Form,
): Promise<Omit<Patient, 'cutOff'>> {
  let unsure = 0
  for (let tries = 0; tries < 5; tries += 1) {
    const { answer: opened } = await browse(world, jar, { path: page })
    if (page !== signInPage && leadsToLogin(opened)) throw new SignedOut(page)
    const target = action(opened.text)
    if (target === undefined) return { answer: opened, unsure }
    const form = { ...hiddenFields(opened.text, target), ...fill(opened.text) }
    const send = () => browse(world, jar, { method: 'POST', path: target, form })
    const [sent] = twice ? await Promise.all([send(), send()]) : [await send()]
    unsure += sent.unsure
    if (sent.answer.status !== 403) return { answer: sent.answer, unsure }
    count(world.books.deeds, 'forms that were out of date')
  }
  throw new DeadEnd(page)
}

interface Form {
  readonly page: string
  /** Where the page's form leads; undefined when there is nothing to send. */
  action(html: string): string | undefined
  fill?(html: string): Fields
  /** Pressed twice. */
  readonly twice?: boolean
}

const signInPage = '/login?switch=1'

export async function signIn(world: World, person: Person): Promise<Session | undefined> {
  const { username, password, dice, signIns } = person
  const cookies: Jar = new Map()
  const remember = dice.chance(0.3)
  let isNamed = false
  const { answer, unsure } = await submit(world, cookies, {
    page: signInPage,
    action: () => '/login',
    fill(html) {
      isNamed ||= html.includes('name="submission"')
      return { username, password, ...(remember && { remember_me: '1' }) }
    },
    twice: dice.chance(0.05),
  })
  // A form that names itself counts once, however often it is sent.
  if (!isNamed) signIns.unsure += unsure
  if (answer.status !== 303) {
    const what = `the sign-in of ${username} answered ${answer.status}`
    find(world.books, answer.status === 401 ? 'lost' : 'dead ends', what)
    return undefined
  }
  signIns.acknowledged += 1
  const session: Session = { ...begin('session', username, 'signed in'), cookies }
  person.sessions.push(session)
  count(world.books.deeds, 'sign-ins')
  return session
}

/** Any page of theirs shows whether a session is accepted. */
export async function isSignedIn(world: World, { cookies }: Session): Promise<boolean> {
  const { answer } = await browse(world, cookies, { path: '/account/devices' })
  return answer.status === 200
}

export async function look(world: World, _: Person, session: Session): Promise<void> {
  if (!(await isSignedIn(world, session))) throw new SignedOut('/account/devices')
  note(session, 'seen')
  count(world.books.deeds, 'visits')
}

export async function signOut(world: World, _: Person, session: Session): Promise<void> {
  const before = new Map(session.cookies)
  session.state = 'unsure'
  await submit(world, session.cookies, { page: '/account/devices', action: () => '/logout' }).catch(
    unlessSignedOut,
  )
  end(session, 'signed out')
  count(world.books.deeds, 'sign-outs')
  // The cookie in the hands of somebody who kept a copy.
  if (await isSignedIn(world, { ...session, cookies: before }))
    find(world.books, 'undead', 'a session is accepted after its end', session)
}

/** The end that was asked for had come already, by a request that was not answered. */
function unlessSignedOut(error: unknown) {
  if (!(error instanceof SignedOut)) throw error
}

export async function endOthers(world: World, person: Person, session: Session): Promise<void> {
  const others = person.sessions.filter((other) => other !== session && isHeld(other))
  for (const other of others) other.state = 'unsure'
  await submit(world, session.cookies, {
    page: '/account/devices',
    action: (html) => sentTo(html, '/account/devices/revoke-others'),
  })
  for (const other of others) end(other, 'ended from another browser')
  count(world.books.deeds, 'other sessions ended', others.length)
}

const sentTo = (html: string, action: string) =>
  html.includes(`action="${action}"`) ? action : undefined

export async function disconnectApps(world: World, person: Person, session: Session) {
  const families = unsureFrom(person.families)
  await sendAll(world, session, '/account/tokens')
  for (const family of families) end(family, 'apps disconnected')
  count(world.books.deeds, 'families disconnected', families.length)
}

export async function takeBackConsents(world: World, person: Person, session: Session) {
  const ended = [...unsureFrom([...person.consents.values()]), ...unsureFrom(person.families)]
  await sendAll(world, session, '/account/authorizations')
  for (const thing of ended) end(thing, 'consents taken back')
  count(world.books.deeds, 'consents taken back', person.consents.size)
  person.consents.clear()
}

/** Revokes what a page lists, one form after the other, until it shows none. */
async function sendAll(world: World, session: Session, page: string) {
  const form = new RegExp(`action="(${page}/(?:revoke-all|[0-9a-f-]{36}/revoke))"`)
  const action = (html: string) => form.exec(html)?.[1]
  let shown = true
  while (shown)
    shown = (await submit(world, session.cookies, { page, action })).answer.status === 303
}

function unsureFrom<T extends Thing>(things: readonly T[]): T[] {
  const open = things.filter(isHeld)
  for (const thing of open) thing.state = 'unsure'
  return open
}

export async function changePassword(world: World, person: Person, session: Session) {
  const old = person.password
  const fresh = crypto.randomUUID()
  world.books.secrets.add(fresh)
  const others = unsureFrom(person.sessions.filter((other) => other !== session))
  const families = unsureFrom(person.families)
  const { answer, unsure } = await submit(world, session.cookies, {
    page: '/account/security',
    action: () => '/account/security/password',
    fill: () => ({ current_password: old, new_password: fresh, new_password_again: fresh }),
  })
  // An earlier try may have changed it: then the old one is wrong by now.
  if (answer.status !== 303 && unsure === 0)
    return find(world.books, 'dead ends', `changing a password answered ${answer.status}`, session)
  // The session goes on under another id; whether its cookie came along is not known of an answer that was lost.
  if (unsure > 0) unsureFrom([session])
  person.password = fresh
  for (const thing of [...others, ...families]) end(thing, 'password changed')
  count(world.books.deeds, 'passwords changed')
}

/** The lifetimes pass: what is left of some things of theirs is moved to where the clock has been already. */
export async function letTimePass(world: World, person: Person): Promise<void> {
  const [session] = person.sessions.filter(({ state }) => state === 'open')
  const families = person.families.filter(({ state }) => state === 'open').slice(0, 2)
  const owned = [person.id]
  if (session && person.sessions.length === 1) {
    await world.sql(
      `update sessions set expires_at = now() - interval '1 second'
        where user_id = $1 and ended_at is null`,
      owned,
    )
    end(session, 'its lifetime was over')
    if (await isSignedIn(world, session))
      find(world.books, 'undead', 'a session is accepted after its lifetime', session)
  }
  await world.sql(
    `update tokens set expires_at = now() - interval '1 second'
      where user_id = $1 and revoked_at is null`,
    owned,
  )
  for (const family of person.families) if (isHeld(family)) end(family, 'lifetime over')
  count(world.books.faults, 'clock moved by a lifetime')
  count(world.books.deeds, 'families expired', families.length)
}

/** Whoever is sent to the sign-in page with a session that nobody ended has lost it. */
export const lostSession = (world: World, session: Session, page: string): void =>
  missing(world.books, session, `${page} led to the sign-in page`)
