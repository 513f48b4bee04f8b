/** What clients do with what they are given: codes, tokens, families of them. */
import { createHash, randomBytes } from 'node:crypto'
import { deviceCodeGrantType, tokenExchangeGrantType } from '#/protocol/grant-types.ts'
import { begin, count, end, find, missing, note, type Thing } from './books.ts'
import { browse, DeadEnd, hiddenFields, SignedOut, submit } from './browsing.ts'
import { type Answer, gist, type Patient, type Request } from './transport.ts'
import { type App, type Family, orders, type Person, type Session, type World } from './world.ts'

type Fields = Readonly<Record<string, string>>

const scope = 'openid profile email offline_access'
const verifier = randomBytes(32).toString('base64url')
const challenge = createHash('sha256').update(verifier).digest('base64url')

/** A form of a client that says who it is. */
const formOf = (path: string, { clientId, secret }: App, fields: Fields): Request => ({
  method: 'POST',
  path,
  ...(secret === undefined
    ? { form: { ...fields, client_id: clientId } }
    : {
        form: fields,
        headers: {
          authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`,
        },
      }),
})

/** An app sends its user, who approves or denies; what comes back is redeemed. */
export async function connectApp(world: World, person: Person, session: Session): Promise<void> {
  const { cli, shop, portal } = world
  const app = person.dice.pick([cli, cli, shop, portal])
  const approves = person.dice.chance(0.9)
  const location = await authorize(world, session, { app, person, approves })
  const answered = new URL(location).searchParams
  if (!approves && answered.has('error')) return count(world.books.deeds, 'denials')
  const code = answered.get('code')
  if (code === null) return find(world.books, 'dead ends', `no code came: ${answered}`, session)
  world.books.secrets.add(code)
  count(world.books.deeds, 'codes')
  if (!person.consents.has(app))
    person.consents.set(app, begin('consent', person.username, 'approved'))
  await redeem(world, person, { app, code })
}

interface Wish {
  readonly app: App
  readonly person: Person
  readonly approves: boolean
}

/** Where the browser is sent in the end. A request whose answers were lost is made anew, as its user would. */
async function authorize(world: World, session: Session, wish: Wish): Promise<string> {
  for (let tries = 0; tries < 6; tries += 1) {
    const path = await requestPath(world, wish)
    let { answer: page } = await browse(world, session.cookies, { path })
    let unsure = 0
    for (let steps = 0; steps < 8 && page.status !== 302; steps += 1) {
      if (page.status === 303) page = await follow(world, session, page)
      else if (page.status === 200) {
        const sent = await answerConsent(world, session, { page, wish })
        page = sent.answer
        unsure += sent.unsure
      } else break
    }
    if (page.status === 302) return page.location
    if (unsure === 0)
      throw new DeadEnd(`an authorization request came to ${page.status}: ${gist(page)}`)
    count(world.books.deeds, 'authorizations begun anew')
  }
  throw new DeadEnd('/oauth/authorize')
}

/** Some people press twice; what they see is the answer to the second. */
async function answerConsent(
  world: World,
  session: Session,
  { page, wish }: { page: Answer; wish: Wish },
): Promise<Patient> {
  const form = {
    ...hiddenFields(page.text, '/oauth/authorize'),
    action: wish.approves ? 'approve' : 'deny',
  }
  const press = () =>
    browse(world, session.cookies, { method: 'POST', path: '/oauth/authorize', form })
  if (!wish.person.dice.chance(0.1)) return press()
  const [, second] = await Promise.all([press(), press()])
  count(world.books.deeds, 'double clicks')
  return second
}

async function follow(world: World, session: Session, { location }: Answer): Promise<Answer> {
  const { pathname, search } = new URL(location, 'http://none')
  if (pathname === '/login') throw new SignedOut('/oauth/authorize')
  return (await browse(world, session.cookies, { path: pathname + search })).answer
}

/** In the address, or pushed before (RFC 9126). */
async function requestPath(world: World, { app, person }: Wish): Promise<string> {
  const parameters = {
    response_type: 'code',
    client_id: app.clientId,
    redirect_uri: app.redirectUri,
    scope,
    state: randomBytes(6).toString('hex'),
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...(app === world.portal && { resource: orders }),
  }
  if (app !== world.shop || person.dice.chance(0.5))
    return `/oauth/authorize?${new URLSearchParams(parameters)}`
  const { answer } = await world.transport.patiently(formOf('/oauth/par', app, parameters))
  if (answer.status !== 201) throw new DeadEnd(`/oauth/par answered ${answer.status}`)
  count(world.books.deeds, 'pushed requests')
  const { request_uri } = JSON.parse(answer.text) as { request_uri: string }
  return `/oauth/authorize?${new URLSearchParams({ client_id: app.clientId, request_uri })}`
}

async function redeem(world: World, person: Person, { app, code }: { app: App; code: string }) {
  const thing = begin('code', person.username, 'the browser came back with it')
  const fields = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: app.redirectUri,
    code_verifier: verifier,
  }
  const { answer, unsure, cutOff } = await world.transport.patiently(
    formOf('/oauth/token', app, fields),
  )
  if (answer.status !== 200 && cutOff) return goneWithProcess(world, thing)
  if (answer.status !== 200) return missing(world.books, thing, refusal(answer, unsure))
  end(thing, 'redeemed')
  receive(world, person, { app, answer, how: 'a code was redeemed' })
}

/** Not promised: only that process knew that nobody had heard of it. */
function goneWithProcess({ books }: World, thing: Thing) {
  end(thing, 'its process was killed before it answered')
  count(books.deeds, 'codes gone with a killed process')
}

const refusal = ({ status, text }: Answer, unsure: number) =>
  `${unsure > 0 ? `after ${unsure} tries without an answer, ` : ''}it was answered ${status} ${text.slice(0, 120)}`

interface Received {
  readonly app: App
  readonly answer: Answer
  readonly how: string
}

function receive(world: World, person: Person, { app, answer, how }: Received): Family {
  const family = { ...begin('family', person.username, how), app, access: '', refresh: '' }
  keep(world, family, answer)
  person.families.push(family)
  count(world.books.deeds, 'families')
  return family
}

function keep(world: World, family: Family, { text }: Answer) {
  const tokens = JSON.parse(text) as { access_token: string; refresh_token?: string }
  family.access = tokens.access_token
  family.refresh = tokens.refresh_token ?? family.refresh
  world.books.secrets.add(family.access)
  world.books.secrets.add(family.refresh)
}

/** Sometimes from two tabs at once, with the same token. */
export async function refresh(world: World, person: Person, family: Family): Promise<void> {
  const fields = { grant_type: 'refresh_token', refresh_token: family.refresh }
  const request = formOf('/oauth/token', family.app, fields)
  const tabs = person.dice.chance(0.1) ? 2 : 1
  const answers = await Promise.all(
    Array.from({ length: tabs }, () => world.transport.patiently(request)),
  )
  for (const { answer, unsure } of answers) {
    if (answer.status !== 200) return missing(world.books, family, refusal(answer, unsure))
    keep(world, family, answer)
    note(family, `refreshed${unsure > 0 ? ` after ${unsure} tries without an answer` : ''}`)
    count(world.books.deeds, 'refreshes')
  }
}

export async function useAccess(world: World, person: Person, family: Family): Promise<void> {
  if (family.app === world.portal) return exchange(world, person, family)
  const headers = { authorization: `Bearer ${family.access}` }
  const { answer } = await world.transport.patiently({ path: '/oauth/userinfo', headers })
  if (answer.status !== 200)
    return missing(world.books, family, `userinfo answered ${answer.status}`)
  count(world.books.deeds, 'userinfo')
}

/** RFC 8693: the API that was called acts for the user. */
async function exchange(world: World, _: Person, family: Family) {
  const { answer } = await world.transport.patiently(
    formOf('/oauth/token', world.ordersApi, {
      grant_type: tokenExchangeGrantType,
      subject_token: family.access,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    }),
  )
  if (answer.status !== 200)
    return missing(world.books, family, `its exchange answered ${answer.status} ${answer.text}`)
  count(world.books.deeds, 'exchanges')
}

export async function askAbout(world: World, _: Person, family: Family): Promise<void> {
  const asker = family.app.secret === undefined ? undefined : family.app
  if (asker === undefined) return
  const { answer } = await world.transport.patiently(
    formOf('/oauth/introspect', asker, { token: family.access }),
  )
  const { active } = JSON.parse(answer.text) as { active?: boolean }
  if (active !== true) return missing(world.books, family, `introspection said ${answer.text}`)
  count(world.books.deeds, 'introspections')
}

/** Ends the family, and sees that it has ended. */
export async function giveBack(world: World, person: Person, family: Family): Promise<void> {
  family.state = 'unsure'
  const { answer } = await world.transport.patiently(
    formOf('/oauth/revoke', family.app, { token: family.refresh }),
  )
  if (answer.status !== 200)
    return find(world.books, 'dead ends', `revocation answered ${answer.status}`, family)
  end(family, 'given back')
  count(world.books.deeds, 'families given back')
  await isEnded(world, person, family)
}

/** What has ended must not come back to life. */
export async function isEnded(world: World, _: Person, family: Family): Promise<void> {
  const headers = { authorization: `Bearer ${family.access}` }
  const { answer } = await world.transport.patiently({ path: '/oauth/userinfo', headers })
  if (answer.status === 200)
    find(world.books, 'undead', 'an access token is accepted after its end', family)
}

/** RFC 8628: the device asks, its user answers in a browser, the device is told. */
export async function connectDevice(world: World, person: Person, session: Session): Promise<void> {
  const { device: app, books, transport } = world
  const { answer } = await transport.patiently(formOf('/oauth/device/code', app, { scope }))
  if (answer.status !== 200)
    return find(books, 'dead ends', `/oauth/device/code answered ${answer.status}`, session)
  const codes = JSON.parse(answer.text) as { device_code: string; user_code: string }
  const { device_code, user_code } = codes
  books.secrets.add(device_code)
  count(books.deeds, 'device codes')
  const thing = begin('device code', person.username, 'issued')
  const approves = person.dice.chance(0.85)
  await decide(world, session, { user_code, thing, action: approves ? 'approve' : 'deny' })
  const fields = { grant_type: deviceCodeGrantType, device_code }
  const polled = await transport.patiently(formOf('/oauth/token', app, fields))
  if (approves) return tokensForDevice(world, person, { app, thing, polled })
  if (!polled.answer.text.includes('access_denied'))
    find(books, 'undead', `a denied device was answered ${polled.answer.text.slice(0, 80)}`, thing)
  end(thing, 'denied')
}

interface Answering {
  readonly user_code: string
  readonly thing: Thing
  readonly action: 'approve' | 'deny'
}

async function decide(world: World, session: Session, { user_code, thing, action }: Answering) {
  const { answer: page } = await submit(world, session.cookies, {
    page: '/device',
    action: () => '/device/verify',
    fill: () => ({ user_code }),
  })
  if (page.status !== 200) throw new DeadEnd(`/device/verify answered ${page.status}`)
  const form = { ...hiddenFields(page.text, '/device/decide'), action }
  const decided = { method: 'POST', path: '/device/decide', form } as const
  const { answer, unsure } = await browse(world, session.cookies, decided)
  note(thing, `${action} was answered ${answer.status}`)
  if (answer.status !== 200 && unsure === 0)
    throw new DeadEnd(`/device/decide answered ${answer.status}: ${gist(answer)}`)
}

function tokensForDevice(
  world: World,
  person: Person,
  { app, thing, polled }: { app: App; thing: Thing; polled: Patient },
) {
  const { answer, unsure, cutOff } = polled
  if (answer.status !== 200 && cutOff) return goneWithProcess(world, thing)
  if (answer.status !== 200) return missing(world.books, thing, refusal(answer, unsure))
  end(thing, 'redeemed')
  receive(world, person, { app, answer, how: 'a device was let in' })
  if (!person.consents.has(app))
    person.consents.set(app, begin('consent', person.username, 'approved'))
}

/** A program that acts for itself, asks about its token, and sometimes gives it back. */
export async function work(world: World, dice: Person['dice']): Promise<void> {
  const { job, books, transport } = world
  const { answer } = await transport.patiently(
    formOf('/oauth/token', job, { grant_type: 'client_credentials' }),
  )
  if (answer.status !== 200)
    return find(books, 'dead ends', `client credentials answered ${answer.status}`)
  count(books.deeds, 'client credentials')
  const { access_token: token } = JSON.parse(answer.text) as { access_token: string }
  if (dice.chance(0.02)) books.secrets.add(token)
  const thing = begin('family', 'the job', 'issued to itself')
  for (let n = Math.floor(dice.between(1, 6)); n > 0; n -= 1) {
    const asked = await transport.patiently(formOf('/oauth/introspect', job, { token }))
    if (!asked.answer.text.includes('"active":true'))
      return missing(books, thing, `introspection said ${asked.answer.text.slice(0, 80)}`)
    count(books.deeds, 'introspections')
  }
  if (!dice.chance(0.3)) return
  await transport.patiently(formOf('/oauth/revoke', job, { token }))
  const asked = await transport.patiently(formOf('/oauth/introspect', job, { token }))
  if (!asked.answer.text.includes('"active":false'))
    find(books, 'undead', 'a token is active after its revocation', thing)
}
