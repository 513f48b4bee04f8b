/**
 * Passwords, argon2id. Hashing is expensive on purpose, so only some run at once and only some may wait: sign-ins
 * can never starve the rest of the server, a flood of them is turned away early, and falls on whoever sends it.
 */
import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import { randomSecret } from '#/protocol/secrets.ts'
import { createFairQueue, type Requester } from './fair-queue.ts'

export type { Requester } from './fair-queue.ts'

/** Thrown when too many are waiting already: answer 503 and ask to come back. */
export class OverloadedError extends Error {
  override readonly name = 'OverloadedError'
}

export interface Passwords {
  hash(password: string, lane?: Requester): Promise<string>
  /** Takes the same time whether or not there is a hash to compare with (no account enumeration by clock). */
  verify(
    passwordHash: string | null | undefined,
    password: string,
    lane?: Requester,
  ): Promise<boolean>
}

/** OWASP's parameters for argon2id: 19 MiB, 2 passes, 1 lane. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** NIST SP 800-63B-4 §3.1.1.2: the same characters, however a keyboard composes them. */
const normalize = (password: string) => password.normalize('NFKC')

/** The process itself, and the operator at its command line. */
const ownLane: Requester = { address: '', network: '', known: true }

/** `queueLimit` at most wait over all networks, `perNetwork` of one. */
export function createPasswords({
  concurrency = Math.max(1, availableParallelism() - 1),
  queueLimit = 256,
  perNetwork = 64,
}: {
  concurrency?: number
  queueLimit?: number
  perNetwork?: number
} = {}): Passwords {
  const run = createGate(concurrency, { most: queueLimit, perNetwork })
  // Of a password nobody knows; made before it is needed, so that not even the first miss takes longer.
  const decoy = hash(randomSecret(), cost)
  return {
    hash: (password, lane = ownLane) => run(lane, () => hash(normalize(password), cost)),
    verify: (passwordHash, password, lane = ownLane) =>
      run(lane, async () => {
        const known = passwordHash ?? (await decoy)
        const normal = normalize(password)
        const matches =
          (await verify(known, normal)) ||
          // Releases before this one hashed what was typed.
          (normal !== password && (await verify(known, password)))
        return matches && typeof passwordHash === 'string'
      }),
  }
}

const overloaded = () => new OverloadedError('too many sign-ins at once')

/** Lets `concurrency` tasks run, and those that fit into the queue wait for their turn; refuses the rest. */
function createGate(concurrency: number, room: { most: number; perNetwork: number }) {
  let running = 0
  const queue = createFairQueue(room)
  return async <T>(lane: Requester, task: () => Promise<T>): Promise<T> => {
    if (running >= concurrency) await queue.wait(lane, overloaded)
    else running += 1
    try {
      return await task()
    } finally {
      // The place is handed on, not given up: a newcomer cannot slip in between.
      if (!queue.next()) running -= 1
    }
  }
}
