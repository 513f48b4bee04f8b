/** Lets the people live: each tells one story after the other, all at the same time, until it is enough. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerProcess } from '../server-process.ts'
import { createAccount, createApp, openOffice } from './admin.ts'
import { createDelegation } from './delegates.ts'
import { deviceStories } from './devices.ts'
import { guestStories, seasonalApp } from './guests.ts'
import { keyHolders } from './key-holders.ts'
import { keyPublishers } from './key-publishers.ts'
import { listeners } from './listeners.ts'
import { machines } from './machines.ts'
import { arrive } from './people.ts'
import { pushers } from './pushers.ts'
import { registrants } from './registrants.ts'
import { everyday, letIn, nightOwl, type Scenario, sitter } from './scenarios.ts'
import { trouble } from './trouble.ts'
import { type App, did, lives, type Person, pause, type World } from './world.ts'

/** Settings under which a minute is long enough, a crowd on one machine is welcome, and brute force is not. */
export const demoSettings = {
  // Every visit names an address of its own, as a proxy would.
  TRUSTED_PROXIES: '127.0.0.1',
  CLIENT_CACHE_TTL: '20ms',
  SESSION_IDLE_TIMEOUT: String(lives.idle),
  SESSION_MAX_AGE: String(lives.longestSession),
  SESSION_SWEEP_INTERVAL: '2s',
  SESSION_RETENTION: '5s',
  AUDIT_LOG_RETENTION: '10s',
  JWT_EXPIRATION: `${lives.token}s`,
  CLIENT_CREDENTIALS_TOKEN_EXPIRATION: `${lives.token}s`,
  REFRESH_TOKEN_EXPIRATION: `${lives.token}s`,
  DEVICE_CODE_EXPIRATION: `${lives.deviceCode}s`,
  METRICS_POPULATION_TTL: '1s',
  LOGIN_ACCOUNT_RATE_LIMIT: '10000',
  CLIENT_RATE_LIMIT: '100000',
  ENDPOINT_CEILING: '1000000',
  REQUEST_CEILING: '1000000',
  ENABLE_DYNAMIC_CLIENT_REGISTRATION: 'true',
  // Apps of the demo publish their keys on this machine.
  OUTBOUND_PRIVATE_ADDRESSES: 'true',
}

/** The world before the crowd comes: one administrator, signed in, and two apps. */
export async function createWorld(server: ServerProcess): Promise<World> {
  const bare = {
    server,
    deeds: new Map([
      ['authgate_users_registered', 1],
      ['authgate_users_active{auth_source="local"}', 1],
      ['authgate_oauth_clients_registered{status="active"}', 1],
      ['authgate_oauth_clients_registered{status="inactive"}', 0],
      ['authgate_oauth_clients_registered{status="pending"}', 0],
      ['auth_attempts_total{method="local",result="success"}', 1],
      ['auth_login_total{auth_source="local",result="success"}', 1],
      ['auth_login_duration_seconds_count{method="local",result="success"}', 1],
      ['sessions_created_total', 1],
      ['sessions_active', 1],
    ]),
    problems: [],
    stats: { requests: 0, visits: 0 },
    timeIsUp: false,
    stopping: false,
  }
  const admin = await openOffice(bare)
  const office = { admin, deeds: bare.deeds }
  const shop = await createApp(office, 'Shop')
  const cli = {
    clientId: server.credentials().clientId,
    redirectUri: 'http://127.0.0.1:4711/callback',
  }
  return { ...bare, admin, shop, cli }
}

/** Runs until it is enough; then each story under way is told to its end, and whatever was left open lapses. */
export async function letThemLive(world: World, people: number): Promise<void> {
  const season = await createApp(world, 'Season')
  const delegation = await createDelegation(world)
  const stories = shuffleIn(everyday, guestStories, trouble, deviceStories, machines, [
    ...keyHolders,
    ...keyPublishers,
    ...listeners,
    ...pushers,
    ...registrants,
    delegation,
  ])
  let next = 0
  const anyStory: Scenario = async (...scene) => {
    if (world.timeIsUp && next >= stories.length) world.stopping = true
    else await stories[next++ % stories.length]?.(...scene)
  }
  const short = [seasonalApp(season), ...Array<Scenario>(people).fill(anyStory)]
  const long = [sitter, nightOwl]
  await Promise.all([
    Promise.all(short.map((story) => live(world, story))).then(() => everythingLapses(world)),
    ...long.map((story) => live(world, story)),
  ])
}

async function live(world: World, story: Scenario) {
  const person = await createAccount(world, 'person')
  while (!world.stopping) {
    await tell(world, person, story)
    await pause(200, 1000)
  }
}

async function everythingLapses({ problems }: World) {
  if (problems.length === 0) await sleep((Math.max(lives.idle, lives.token) + 3) * 1000)
}

/** People who stay: their sessions and fresh tokens are all that is live in the end. */
export async function settleDown(world: World, people: number): Promise<void> {
  const moveIn = async (app: App) => {
    const person = await createAccount(world, 'resident')
    const browser = await arrive(world, person, { remember_me: '1' })
    await letIn(world, person, browser, app)
  }
  await Promise.all(
    Array.from({ length: people }, (_, n) => moveIn(n % 2 === 0 ? world.shop : world.cli)),
  )
  did(world, 'oauth_tokens_active', { token_type: 'access' }, people)
  did(world, 'oauth_tokens_active', { token_type: 'refresh' }, people)
}

async function tell(world: World, person: Person, story: Scenario) {
  world.stats.visits += 1
  try {
    await story(world, person)
  } catch (error) {
    world.problems.push(error instanceof Error ? error.message : String(error))
    // A story that breaks off may leave anything behind, so there is no use in counting on.
    world.stopping = true
  }
  person.families.length = 0
}

/** One list out of several, so that every kind of story is told early. */
function shuffleIn<T>(...lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(...lists.map((list) => list.length))
  return Array.from({ length: longest }, (_, n) =>
    lists.flatMap((list) => list.slice(n, n + 1)),
  ).flat()
}
