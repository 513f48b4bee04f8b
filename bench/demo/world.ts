/** What the demo knows: the server, the people and apps in it, and every count that its own deeds must have moved. */
import { setTimeout as sleep } from 'node:timers/promises'
import { seriesKey } from '../../test/support/prometheus.ts'
import { type Browser, openBrowser, userAgents } from '../browser.ts'
import type { ServerProcess } from '../server-process.ts'

/** Lives that are short enough to see their ends within a minute. In seconds. */
export const lives = { idle: 15, token: 15, deviceCode: 8, longestSession: 60 } as const

export interface App {
  readonly clientId: string
  /** Confidential apps only. */
  secret?: string
  readonly redirectUri: string
}

/** What one approval has led to, as far as it is live. */
export interface Family {
  readonly app: App
  readonly scope: string
  access: number
  refresh: number
}

export interface Person {
  readonly username: string
  password: string
  active: boolean
  readonly signedIn: Set<Browser>
  /** App -> scopes in force. */
  readonly consents: Map<App, Set<string>>
  readonly families: Family[]
}

export interface World {
  readonly server: ServerProcess
  readonly admin: Browser
  /** A confidential app, which people need to approve once. */
  readonly shop: App
  /** A public app, for which they are asked each time. */
  readonly cli: App
  /** Series -> what the demo has done to it, counters and gauges alike. */
  readonly deeds: Map<string, number>
  readonly problems: string[]
  readonly stats: { requests: number; visits: number }
  /** Enough, once every story has been told. */
  timeIsUp: boolean
  /** Enough, whatever has been told. */
  stopping: boolean
}

/** Notes that something has happened which must be seen in this series. */
export function did(
  { deeds }: World,
  name: string,
  labels: Readonly<Record<string, string>> = {},
  n = 1,
): void {
  const key = seriesKey(name, { ...labels })
  deeds.set(key, (deeds.get(key) ?? 0) + n)
}

/** Fails a scenario: the server has answered something else than it must. */
export function expectThat(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what)
}

let people = 0

export const createPerson = (username: string, password: string): Person => ({
  username,
  password,
  active: true,
  signedIn: new Set(),
  consents: new Map(),
  families: [],
})

export const nextName = (kind: string): string => {
  people += 1
  return `${kind}-${people}`
}

let addresses = 0

/** Each visit comes from an address of its own, out of the shared address space of RFC 6598. */
export function nextAddress(): string {
  // Each in a /24 of its own, since what neighbours do counts for all of them.
  addresses = (addresses + 1) % (64 * 256 * 254)
  const network = addresses % (64 * 256)
  const host = Math.floor(addresses / (64 * 256)) + 1
  return `100.${64 + Math.floor(network / 256)}.${network % 256}.${host}`
}

export function openFreshBrowser({ server, stats }: Pick<World, 'server' | 'stats'>): Browser {
  return openBrowser({
    origin: server.origin,
    address: nextAddress(),
    userAgent: pick(userAgents),
    onRequest: () => {
      stats.requests += 1
    },
  })
}

const pick = <T>(items: readonly T[]): T => {
  const item = items[Math.floor(Math.random() * items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

/** People take a moment to read. */
export const pause = (least: number, most: number): Promise<void> =>
  sleep(least + Math.random() * (most - least))
