/**
 * Whatever strangers, a person and a client send to any route, in any order and at once: no 5xx, nothing left with others,
 * nothing told, no series made up. Runs for FUZZ_SECONDS from FUZZ_SEED; `npm run fuzz -- --minutes 30 --seed 7`.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { csrfTokenOf } from '../support/browser.ts'
import type { Samples } from '../support/prometheus.ts'
import { madeUpSeries, wrongsOf } from './checks.ts'
import { requestOf, type Sent, type Step, step } from './steps.ts'
import { bytesOf, exchange, type WireAnswer } from './wire.ts'
import { openWorld, privilegesOf, stateOfOthers, tablesWith, type World } from './world.ts'

const seconds = Number(process.env['FUZZ_SECONDS'] ?? 40)
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31)

let world: World
let before: Samples
beforeAll(async () => {
  world = await openWorld()
  await warmUp()
  before = await world.app.samples()
})
afterAll(() => world?.close())

const routes = () => world.app.routes.filter(({ method }) => method !== 'ALL')

/** Each route once by each actor, as honestly as a recipe can be: what may exist does exist now. */
async function warmUp() {
  for (const [route] of routes().entries())
    for (const actor of [0, 1, 2]) await send({ ...honest, route, actor })
}

const honest: Step = {
  actor: 0,
  route: 0,
  protocol: false,
  method: undefined,
  pick: 0,
  changes: [],
  headers: [],
  body: 'form',
  contentType: undefined,
  credentials: 'basic',
  csrf: true,
  framing: 'length',
}

/** What has broken something before. */
const once: Step[] = ['\0', '\ud800'].flatMap((text) =>
  ['GET /oauth/authorize', 'POST /oauth/authorize', 'POST /oauth/par'].map((route) => ({
    ...honest,
    actor: 2,
    route,
    changes: [{ at: 'claims', how: 'add', value: { text, times: 1 }, raw: false } as const],
  })),
)

/** The first request that showed each thing that is wrong. */
const findings = new Map<string, string>()

/** Sends a step, remembers what it brought, and notes what was wrong. */
async function send(one: Step): Promise<void> {
  const sent = requestOf(world, one)
  const answer = await exchange(world.port, sent.wire)
  learn(sent, answer)
  for (const wrong of wrongsOf(world, sent, answer))
    note(`${sent.route} by the ${sent.actor.name}: ${wrong}`, `${told(sent)}\n${newest()}`)
}

const note = (what: string, how: string) => findings.has(what) || findings.set(what, how)

const told = ({ wire }: Sent) =>
  JSON.stringify(
    bytesOf(wire)
      .toString('latin1')
      .replace(/cookie: .*\r\n/i, '')
      .slice(0, 1500),
  )

const newest = () => world.log.filter((line) => line.includes('"error"')).at(-1) ?? ''

/** Names under which answers give what later requests can use. */
const given = {
  authorization_request:
    /(?:authorization_request=|name="authorization_request" value=")([\w-]{43})/,
  request: /name="request" value="([^"]+)"/,
  seen: /name="seen" value="([^"]+)"/,
  code: /[?&]code=([\w-]{43})/,
  access_token: /"access_token":"([^"]+)"/,
  refresh_token: /"refresh_token":"([^"]+)"/,
  device_code: /"device_code":"([^"]+)"/,
  user_code: /"user_code":"([^"]+)"/,
  request_uri: /"request_uri":"([^"]+)"/,
  client_id: /"client_id":"([^"]+)"/,
} as const

function learn({ actor }: Sent, { raw, setCookies }: WireAnswer) {
  actor.csrfToken = csrfTokenOf(raw) || actor.csrfToken
  for (const [name, pattern] of Object.entries(given)) {
    const value = pattern.exec(raw)?.[1]
    if (value === undefined) continue
    const values = world.known.get(name) ?? []
    world.known.set(
      name,
      name === 'client_id' ? withClient(values, value) : withNewest(values, value),
    )
  }
  for (const cookie of setCookies) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
    if (name === undefined) continue
    if (value) actor.cookies.set(name, value)
    else actor.cookies.delete(name)
  }
}

/** Those of the actors stay the first two, whatever an answer says. */
const withClient = (values: readonly string[], value: string) =>
  [...new Set([...values, value])].slice(0, 20)

/** The newest is what an honest request would say. */
const withNewest = (values: readonly string[], value: string) =>
  [value, ...values.filter((one) => one !== value)].slice(0, 20)

/** Whatever has become of others is noted, with what was sent since the last look. */
async function compare(others: Record<string, string>, recent: readonly Step[][][]) {
  const now = await stateOfOthers(world)
  for (const [table, state] of Object.entries(now))
    if (state !== others[table]) note(`${table} of others changed`, JSON.stringify(recent))
  Object.assign(others, now)
}

const isSignedIn = () => world.actors.some(({ cookies }) => cookies.has('__Host-oauth_session'))

it(`holds for whatever is sent, seed ${seed}`, async () => {
  process.stdout.write(`fuzz: seed ${seed}, ${seconds} s\n`)
  const others = await stateOfOthers(world)
  const privileges = await privilegesOf(world)
  const recent: Step[][][] = []
  let requests = 0
  const sequence = fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 6,
  })
  const run = fc.asyncProperty(sequence, async (turns) => {
    if (!isSignedIn()) await world.signIn()
    for (const together of turns) {
      requests += together.length
      await Promise.all(together.map(send))
    }
    recent.push(turns)
    if (recent.length === 5) await compare(others, recent.splice(0))
  })
  await fc.assert(run, {
    seed,
    examples: once.map((one) => [[[one]]]),
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: seconds * 1000,
  })
  await compare(others, recent)
  process.stdout.write(`fuzz: ${requests} requests\n`)
  expect(Object.fromEntries(findings)).toEqual({})
  expect(requests).toBeGreaterThan(100)
  expect(await privilegesOf(world)).toEqual(privileges)
  const paths = routes().map(({ path }) => path)
  expect(madeUpSeries(before, await world.app.samples(), paths)).toEqual([])
  // What was sent as a secret is nowhere in clear: in no row, in no line of the log.
  expect(await tablesWith(world, 'canary-')).toEqual([])
  expect(world.log.filter((line) => line.includes('canary-'))).toEqual([])
})
