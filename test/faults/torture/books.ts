/** What the crowd was promised, what it did, and what turned out wrong. */
type Kind = 'session' | 'code' | 'device code' | 'family' | 'consent'

/** Something that a person or a client was told it has. `unsure`: a deed that may have ended it was never answered. `lost`: nobody ended it. */
export interface Thing {
  readonly kind: Kind
  readonly owner: string
  state: 'open' | 'ended' | 'unsure' | 'lost'
  readonly history: string[]
}

/** What must not happen; each is counted, and the first ones are told with their history. */
const wrongs = [
  'lost',
  'doubled',
  'undead',
  'miscounted',
  'server errors',
  'unanswered',
  'dead ends',
  'secrets in logs',
  'crashes',
] as const
type Wrong = (typeof wrongs)[number]

export interface Books {
  /** Answers that were received. */
  events: number
  /** Those of them that said more than to come back later. */
  served: number
  readonly deeds: Map<string, number>
  readonly faults: Map<string, number>
  readonly statuses: Map<number, number>
  /** Requests that may have had an effect nobody was told of, by path. */
  readonly unsure: Map<string, number>
  readonly findings: { readonly wrong: Wrong; readonly at: string; readonly text: string }[]
  slowest: { readonly ms: number; readonly what: string }
  /** Everything that must never stand in a log. */
  readonly secrets: Set<string>
}

export const openBooks = (): Books => ({
  events: 0,
  served: 0,
  deeds: new Map(),
  faults: new Map(),
  statuses: new Map(),
  unsure: new Map(),
  findings: [],
  slowest: { ms: 0, what: 'nothing' },
  secrets: new Set(),
})

export const count = <K>(tally: Map<K, number>, key: K, by = 1): void => {
  tally.set(key, (tally.get(key) ?? 0) + by)
}

export const total = (tally: ReadonlyMap<unknown, number>): number =>
  [...tally.values()].reduce((sum, value) => sum + value, 0)

const clock = () => new Date().toISOString().slice(11, 23)

export function note(thing: Thing, what: string): void {
  thing.history.push(`${clock()} ${what}`)
  // A family that is refreshed for an hour would remember too much.
  if (thing.history.length > 40) thing.history.splice(10, 10)
}

export const begin = (kind: Kind, owner: string, what: string): Thing => {
  const thing: Thing = { kind, owner, state: 'open', history: [] }
  note(thing, what)
  return thing
}

export function end(thing: Thing, why: string): void {
  thing.state = 'ended'
  note(thing, why)
}

/** `things` tell how it came to that. */
export function find(books: Books, wrong: Wrong, what: string, ...things: Thing[]): void {
  const told = things.map(
    ({ kind, owner, history }) => `\n    ${kind} of ${owner}:\n      ${history.join('\n      ')}`,
  )
  books.findings.push({ wrong, at: clock(), text: what + told.join('') })
}

/** Whether somebody still counts on it. */
export const isHeld = ({ state }: Thing): boolean => state === 'open' || state === 'unsure'

/** It should be there and is not: wrong, unless a deed that was never answered may have ended it. */
export function missing(books: Books, thing: Thing, what: string): void {
  note(thing, what)
  if (thing.state === 'open') find(books, 'lost', `a ${thing.kind} is gone: ${what}`, thing)
  thing.state = 'lost'
}

export const wrongsOf = ({ findings }: Books): ReadonlyMap<Wrong, number> => {
  const tally = new Map<Wrong, number>(wrongs.map((wrong) => [wrong, 0]))
  for (const { wrong } of findings) count(tally, wrong)
  return tally
}

export const lineOf = ({ wrong, at, text }: Books['findings'][number]): string =>
  `${wrong.toUpperCase()} at ${at}: ${text}`
