/** Those who mean no good, or do not know what they are doing: guessers, hammerers, clumsy apps. */
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { answerOf, type Browser } from '../browser.ts'
import {
  allScopes,
  authenticated,
  authorizationPath,
  call,
  createFamily,
  expectError,
  postToken,
  userinfo,
  validated,
} from './apps.ts'
import {
  approve,
  arrive,
  patiently,
  protocolError,
  refused,
  signOut,
  writtenDown,
} from './people.ts'
import { letIn, type Scenario } from './scenarios.ts'
import { did, expectThat, nextAddress, openFreshBrowser, type World } from './world.ts'

/** One password after the other for one account, until the limit bites. */
const guesser: Scenario = async (world) => {
  const browser = openFreshBrowser(world)
  const statuses = []
  for (let n = 0; n < 9; n += 1) {
    const fields = { username: 'victim', password: `password${n}` }
    const { status } = await browser.submit('/login?switch=1', '/login', fields)
    noteGuess(world, status)
    statuses.push(status)
  }
  expectThat(statuses.includes(429), `guessing was answered ${statuses}`)
}

/** Many at once from one address, each for another account: more than may wait. */
const stampede: Scenario = async (world) => {
  const browser = openFreshBrowser(world)
  await browser.get('/login')
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, n) =>
      browser.submit('/login?switch=1', '/login', { username: `nobody-${n}`, password: 'x' }),
    ),
  )
  for (const { status } of answers) noteGuess(world, status)
}

/** Nobody is called victim, or nobody. */
function noteGuess(world: World, status: number) {
  expectThat([401, 429, 503].includes(status), `a guess was answered ${status}`)
  if (status === 401) refused(world, 'unknown_user')
  if (status === 503) did(world, 'authgate_login_failures_total', { reason: 'overloaded' })
  if (status === 429) {
    did(world, 'authgate_login_failures_total', { reason: 'rate_limited' })
    did(world, 'rate_limit_exceeded_total', { endpoint: '/login' })
  }
}

/** An app that has gone mad asks for authorization again and again. */
const madApp: Scenario = async (world) => {
  const browser = openFreshBrowser(world)
  const path = authorizationPath({ clientId: randomUUID(), redirectUri: 'https://app.invalid/' })
  const answers = await Promise.all(Array.from({ length: 70 }, () => browser.get(path)))
  for (const { status } of answers) {
    if (status === 429) did(world, 'rate_limit_exceeded_total', { endpoint: '/oauth/authorize' })
    else if (status === 400) protocolError(world, '/oauth/authorize', 'invalid_client')
  }
  expectThat(
    answers.some(({ status }) => status === 429),
    'seventy requests were let through',
  )
}

/** Somebody tries refresh tokens with a client id out of thin air. */
const tokenThief: Scenario = async (world) => {
  const address = nextAddress()
  const app = { clientId: randomUUID() }
  const fields = { grant_type: 'refresh_token', refresh_token: 'guess' }
  let limited = 0
  for (let n = 0; n < 125; n += 1) {
    const { status } = await postToken(world, app, fields, 'none', address)
    authenticated(world, 'none', 'failure')
    if (status === 429) {
      did(world, 'rate_limit_exceeded_total', { endpoint: '/oauth/token' })
      limited += 1
    } else protocolError(world, '/oauth/token', 'invalid_client')
  }
  expectThat(limited > 0, 'a hundred and twenty-five requests were let through')
}

/** Tokens out of thin air, many at a time. */
const forger: Scenario = async (world) => {
  const forged = await Promise.all(Array.from({ length: 25 }, () => userinfo(world, 'a.b.c')))
  for (const answer of forged) {
    expectError(answer, 401, 'invalid_token')
    validated(world, 'invalid')
    protocolError(world, '/oauth/userinfo', 'invalid_token')
  }
}

/**
 * A gateway that sends several requests in one go, without waiting for answers (RFC 9112 §9.3.2). They ask for the same
 * client or key at the same moment, so all but one wait for a lookup under way.
 */
const impatientGateway: Scenario = async (world) => {
  for (let n = 0; n < 10; n += 1) {
    const app = { clientId: randomUUID(), redirectUri: 'https://app.invalid/' }
    const asked = await pipeline(world, authorizationPath(app), nextAddress())
    for (const status of asked) {
      expectThat(status === 400, `an unknown app was answered ${status}`)
      protocolError(world, '/oauth/authorize', 'invalid_client')
    }
    for (const status of await pipeline(world, '/oauth/userinfo', nextAddress())) {
      expectThat(status === 401, `a forged token was answered ${status}`)
      validated(world, 'invalid')
      protocolError(world, '/oauth/userinfo', 'invalid_token')
    }
  }
}

/** Sends the same GET five times in one packet; answers the statuses. */
async function pipeline({ server, stats }: World, path: string, address: string) {
  const request = (connection: string) =>
    [
      `GET ${path} HTTP/1.1`,
      `Host: ${new URL(server.origin).host}`,
      `X-Forwarded-For: ${address}`,
      'Authorization: Bearer a.b.c',
      `Connection: ${connection}`,
      '',
      '',
    ].join('\r\n')
  const requests = [...Array<string>(4).fill('keep-alive'), 'close'].map(request)
  stats.requests += requests.length
  const socket = connect(Number(new URL(server.origin).port), '127.0.0.1')
  socket.write(requests.join(''))
  const answer = await text(socket)
  const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  expectThat(statuses.length === requests.length, `${statuses.length} of five requests answered`)
  return statuses
}

const authorizationMistakes: readonly [Record<string, string | undefined>, string, number][] = [
  [{ redirect_uri: undefined }, 'invalid_request', 400],
  [{ redirect_uri: 'https://elsewhere.invalid/' }, 'invalid_redirect_uri', 400],
  [{ client_id: 'unknown' }, 'invalid_client', 400],
  [{ response_type: 'token' }, 'unsupported_response_type', 302],
  [{ code_challenge: undefined }, 'invalid_request', 302],
  [{ scope: 'profile admin' }, 'invalid_scope', 302],
  [{ resource: 'https://elsewhere.invalid/' }, 'invalid_target', 302],
  [{ registration: '{}' }, 'registration_not_supported', 302],
  [
    { claims: '{"id_token":{"acr":{"essential":true,"value":"retina"}}}' },
    'unmet_authentication_requirements',
    302,
  ],
]

/** Apps that may not show a page ask in vain where one is needed. */
async function askInVain(world: World, browser: Browser) {
  for (const [by, error] of [
    [openFreshBrowser(world), 'login_required'],
    [browser, 'consent_required'],
  ] as const) {
    const { status, location } = await by.get(
      authorizationPath(world.cli, allScopes, { prompt: 'none' }),
    )
    expectThat(
      status === 302 && location.includes(`error=${error}`),
      `${error} was expected, but ${status} came`,
    )
    protocolError(world, '/oauth/authorize', error)
  }
}

const clumsyApp: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  for (const [wrong, error, expected] of authorizationMistakes) {
    const { status } = await browser.get(authorizationPath(world.shop, allScopes, wrong))
    expectThat(status === expected, `${error} was answered ${status}`)
    protocolError(world, '/oauth/authorize', error)
  }
  await askInVain(world, browser)
  const tokenMistakes = [
    [{}, 'invalid_request'],
    [{ grant_type: 'password' }, 'unsupported_grant_type'],
    [{ grant_type: 'authorization_code', code: 'x' }, 'invalid_request'],
  ] as const
  for (const [fields, error] of tokenMistakes) {
    expectError(await postToken(world, world.shop, fields, 'basic'), 400, error)
    authenticated(world, 'basic', 'success')
    protocolError(world, '/oauth/token', error)
  }
  // An app that never asked who the user is.
  await misuseTokens(world, await letIn(world, person, browser, world.cli, 'profile'))
  await signOut(world, person, browser)
}

async function misuseTokens(world: World, { access }: { access: string }) {
  expectError(await userinfo(world, access), 403, 'insufficient_scope')
  validated(world, 'valid')
  protocolError(world, '/oauth/userinfo', 'insufficient_scope')
  const body = new URLSearchParams({ access_token: access })
  expectError(await userinfo(world, access, { method: 'POST', body }), 400, 'invalid_request')
  protocolError(world, '/oauth/userinfo', 'invalid_request')
  const without = await answerOf(await fetch(`${world.server.origin}/oauth/userinfo`))
  expectThat(without.status === 401, `userinfo without a token answered ${without.status}`)
}

/** Takes the code to the wrong place first. */
const wrongVerifier: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const family = createFamily(person, world.shop)
  const path = authorizationPath(world.shop)
  const code = await approve(world, person, { browser, family, path })
  const fields = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: world.shop.redirectUri,
    code_verifier: 'w'.repeat(43),
  }
  expectError(await postToken(world, world.shop, fields, 'basic'), 400, 'invalid_grant')
  authenticated(world, 'basic', 'success')
  protocolError(world, '/oauth/token', 'invalid_grant')
  await signOut(world, person, browser)
}

/** Sits down at a machine that somebody forgot to lock, and tries what it can do. */
const nosyNeighbour: Scenario = async (world, person) => {
  const browser = await arrive(world, person)
  const attempts = [
    ['admin_access', 403, () => browser.get('/admin')],
    ['outdated_form', 403, () => browser.post('/logout', { csrf_token: 'of another day' })],
    ['current_password', 400, () => patiently(() => guessCurrentPassword(browser))],
    ['cross_site_form', 403, () => postFromElsewhere(world)],
  ] as const
  for (const [kind, expected, attempt] of attempts) {
    const { status } = await attempt()
    expectThat(status === expected, `${kind} was answered ${status}`)
    writtenDown(world, kind)
  }
  await signOut(world, person, browser)
}

const guessCurrentPassword = (browser: Browser) =>
  browser.submit('/account/security', '/account/security/password', {
    current_password: 'a guess',
    new_password: 'another long password',
    new_password_again: 'another long password',
  })

const postFromElsewhere = (world: World) =>
  call(world, '/login', {
    method: 'POST',
    body: new URLSearchParams({ username: 'victim' }),
    headers: { origin: 'https://elsewhere.invalid', 'x-forwarded-for': nextAddress() },
  })

export const trouble: readonly Scenario[] = [
  nosyNeighbour,
  guesser,
  madApp,
  tokenThief,
  forger,
  impatientGateway,
  clumsyApp,
  wrongVerifier,
  stampede,
]
