/**
 * Who is next where work is expensive. Networks take turns, and addresses within a network; whoever the account knows
 * goes first, but not always. When there is no more room, whoever waits for the network with the most has to go; whoever
 * has waited for as long as there is time for an answer goes, too.
 */
import { deadlineAt } from '#/database/deadline.ts'

/** On whose behalf something waits. */
export interface Requester {
  readonly address: string
  /** The network that the address belongs to. */
  readonly network: string
  /** Whether there is reason to believe that it is the account's owner. */
  readonly known: boolean
}

interface Waiting {
  readonly lane: Requester
  readonly go: () => void
  readonly refuse: () => void
}

export interface FairQueue {
  /** Resolves when it is this lane's turn; rejects with `overloaded` when there is no room for it, or no more. */
  wait(lane: Requester, overloaded: () => Error): Promise<void>
  /** Lets the next one go; false when nobody waits. */
  next(): boolean
}

/** One turn in so many is for those who are not known, so that nobody waits for ever. */
const turnsOfKnown = 4

export function createFairQueue({
  most,
  perNetwork,
}: {
  most: number
  perNetwork: number
}): FairQueue {
  const waiting: Waiting[] = []
  const served = createTurns()
  let turn = 0
  /** Whoever has to go so that the rest fits, if anybody: perhaps the newcomer. */
  function tooMany(newcomer: Waiting): Waiting | undefined {
    // Of equals, the one who came last has to go.
    const all = [newcomer, ...waiting]
    const neighbours = all.filter(({ lane }) => lane.network === newcomer.lane.network)
    if (neighbours.length <= perNetwork && all.length <= most) return undefined
    const crowd = neighbours.length > perNetwork ? neighbours : busiest(all, 'network')
    const last = busiest(crowd, 'address')
    return last.includes(newcomer) ? newcomer : last.at(-1)
  }
  function leave(refused: Waiting) {
    waiting.splice(waiting.indexOf(refused), 1)
    served.forget(waiting)
    refused.refuse()
  }
  return {
    async wait(lane, overloaded) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const newcomer = { lane, go: resolve, refuse: () => reject(overloaded()) }
      const refused = tooMany(newcomer)
      waiting.push(newcomer)
      if (refused) leave(refused)
      const msLeft = deadlineAt() - performance.now()
      const timer = Number.isFinite(msLeft)
        ? setTimeout(() => waiting.includes(newcomer) && leave(newcomer), msLeft)
        : undefined
      return promise.finally(() => clearTimeout(timer))
    },
    next() {
      turn += 1
      const known = waiting.filter(({ lane }) => lane.known)
      const strangers = waiting.filter(({ lane }) => !lane.known)
      const [first, second] = turn % turnsOfKnown === 0 ? [strangers, known] : [known, strangers]
      const chosen = served.choose(first.length > 0 ? first : second)
      if (!chosen) return false
      waiting.splice(waiting.indexOf(chosen), 1)
      served.forget(waiting)
      chosen.go()
      return true
    },
  }
}

function busiest(waiting: readonly Waiting[], by: 'network' | 'address'): Waiting[] {
  const groups = Map.groupBy(waiting, ({ lane }) => lane[by])
  return [...groups.values()].reduce(
    (most, group) => (group.length > most.length ? group : most),
    [],
  )
}

/** Remembers when a network and an address had their last turn, as long as somebody of theirs waits. */
function createTurns() {
  const lastTurn = new Map<string, number>()
  let now = 0
  const networkKey = ({ network }: Requester) => `network ${network}`
  const addressKey = ({ address }: Requester) => `address ${address}`
  const earliest = (waiting: readonly Waiting[], keyOf: (lane: Requester) => string) => {
    const when = ({ lane }: Waiting) => lastTurn.get(keyOf(lane)) ?? 0
    const first = Math.min(...waiting.map(when))
    return waiting.filter((one) => when(one) === first)
  }
  return {
    choose(waiting: readonly Waiting[]): Waiting | undefined {
      const chosen = earliest(earliest(waiting, networkKey), addressKey)[0]
      if (!chosen) return undefined
      now += 1
      lastTurn.set(networkKey(chosen.lane), now).set(addressKey(chosen.lane), now)
      return chosen
    },
    forget(waiting: readonly Waiting[]) {
      const kept = new Set(waiting.flatMap(({ lane }) => [networkKey(lane), addressKey(lane)]))
      for (const key of lastTurn.keys()) if (!kept.has(key)) lastTurn.delete(key)
    },
  }
}
