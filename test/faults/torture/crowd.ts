/** Everybody does one thing after the other, all at the same time, until it is enough. */
import { setTimeout as sleep } from 'node:timers/promises'
import { count, find, isHeld } from './books.ts'
import {
  changePassword,
  DeadEnd,
  disconnectApps,
  endOthers,
  isSignedIn,
  letTimePass,
  look,
  lostSession,
  SignedOut,
  signIn,
  signOut,
  takeBackConsents,
} from './browsing.ts'
import {
  askAbout,
  connectApp,
  connectDevice,
  giveBack,
  isEnded,
  refresh,
  useAccess,
  work,
} from './clients.ts'
import type { Dice } from './dice.ts'
import { GivenUp } from './transport.ts'
import type { Family, Person, Session, World } from './world.ts'

type Deed<T> = (world: World, person: Person, thing: T) => Promise<void>

/** What a person does in a browser, by weight. */
const withSession: readonly (readonly [number, Deed<Session>])[] = [
  [20, look],
  [14, connectApp],
  [4, connectDevice],
  [3, signOut],
  [2, endOthers],
  [1, disconnectApps],
  [1, takeBackConsents],
  [0.3, changePassword],
]

/** What an app does with the tokens it holds. */
const withFamily: readonly (readonly [number, Deed<Family>])[] = [
  [12, refresh],
  [25, useAccess],
  [15, askAbout],
  [2, giveBack],
]

const mostSessions = 3
const mostFamilies = 6

export async function letThemLive(world: World, machines: readonly Dice[]): Promise<void> {
  await Promise.all([
    ...world.people.map((person) => untilStopped(world, person.dice, () => act(world, person))),
    ...machines.map((dice) => untilStopped(world, dice, () => work(world, dice))),
  ])
}

async function untilStopped(world: World, dice: Dice, deed: () => Promise<void>) {
  while (!world.stopping) {
    await deed().catch((error: unknown) => {
      if (!(error instanceof GivenUp)) throw error
      find(world.books, 'dead ends', error.message)
    })
    await sleep(dice.between(0, 40))
  }
}

async function act(world: World, person: Person): Promise<void> {
  const { dice } = person
  person.sessions = person.sessions.filter(isHeld)
  person.families = person.families.filter(isHeld)
  const { sessions, families } = person
  if (sessions.length === 0 || (sessions.length < mostSessions && dice.chance(0.03)))
    await signIn(world, person)
  else if (dice.chance(0.004)) await letTimePass(world, person)
  else if (families.length > 0 && dice.chance(0.75))
    await weighted(dice, withFamily)(world, person, dice.pick(families))
  else await inBrowser(world, person, dice.pick(sessions))
  for (const family of families) if (family.state === 'ended') await isEnded(world, person, family)
}

async function inBrowser(world: World, person: Person, session: Session) {
  const full = person.families.length >= mostFamilies
  const deed = full ? look : weighted(person.dice, withSession)
  try {
    await deed(world, person, session)
  } catch (error) {
    if (error instanceof SignedOut) lostSession(world, session, error.message)
    else if (error instanceof DeadEnd) find(world.books, 'dead ends', error.message, session)
    else throw error
  }
}

function weighted<T>(dice: Dice, deeds: readonly (readonly [number, T])[]): T {
  let left = dice.next() * deeds.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, deed] of deeds) {
    left -= weight
    if (left < 0) return deed
  }
  throw new Error('nothing to do')
}

/** Whatever anybody still has is used once more, when everything is well again. */
export async function useEverything(world: World): Promise<void> {
  await Promise.all(
    world.people.map(async (person) => {
      for (const session of person.sessions.filter(({ state }) => state === 'open'))
        if (!(await isSignedIn(world, session))) lostSession(world, session, '/account/devices')
      for (const family of person.families.filter(({ state }) => state === 'open')) {
        await useAccess(world, person, family)
        if (family.state === 'open') await refresh(world, person, family)
      }
      count(world.books.deeds, 'people asked at the end')
    }),
  )
}
