/**
 * The order in which expensive work is done. Networks take turns, and addresses within a network; known browsers go
 * first, but not always. When the queue is full, the last request of the network with the most is refused; so is one
 * that has waited past its deadline.
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
  /** Starts the next one; false when the queue is empty. */
  next(): boolean
}

/** One turn in this many goes to unknown browsers, so that they never wait forever. */
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
  /** The request to refuse so that the rest fits, perhaps the newcomer; undefined if there is room. */
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

/** The last turn of each network and address, kept while requests of theirs wait. */
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
