/**
 * Passwords, argon2id. Hashing is expensive on purpose, so only some run at once and only some may wait: sign-ins
 * can never starve the rest of the server, and a flood of them is turned away early.
 */
import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import { randomSecret } from '#/protocol/secrets.ts'

/** Thrown when too many are waiting already: answer 503 and ask to come back. */
export class OverloadedError extends Error {
  override readonly name = 'OverloadedError'
}

export interface Passwords {
  hash(password: string): Promise<string>
  /** Takes the same time whether or not there is a hash to compare with (no account enumeration by clock). */
  verify(passwordHash: string | null | undefined, password: string): Promise<boolean>
}

/** OWASP's parameters for argon2id: 19 MiB, 2 passes, 1 lane. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

export const longestPassword = 1024

/** NIST SP 800-63B §5.1.1.2: at least 8 characters, any characters, and room for long ones. */
export const isAcceptablePassword = (password: string): boolean =>
  password.length >= 8 && password.length <= longestPassword

export function createPasswords({
  atOnce = Math.max(1, availableParallelism() - 1),
  waiting = 32,
}: {
  atOnce?: number
  waiting?: number
} = {}): Passwords {
  const run = createGate(atOnce, waiting)
  // Of a password nobody knows; made before it is needed, so that not even the first miss takes longer.
  const decoy = hash(randomSecret(), cost)
  return {
    hash: (password) => run(() => hash(password, cost)),
    verify: (passwordHash, password) =>
      run(async () => {
        const matches = await verify(passwordHash ?? (await decoy), password)
        return matches && typeof passwordHash === 'string'
      }),
  }
}

/** Lets `atOnce` tasks run and `waiting` more queue up in order; refuses the rest. */
function createGate(atOnce: number, waiting: number) {
  let running = 0
  const queue: (() => void)[] = []
  return async <T>(task: () => Promise<T>): Promise<T> => {
    if (running >= atOnce) {
      if (queue.length >= waiting) throw new OverloadedError('too many sign-ins at once')
      await new Promise<void>((resolve) => queue.push(resolve))
    } else running += 1
    try {
      return await task()
    } finally {
      // The place is handed on, not given up: a newcomer cannot slip in between.
      const next = queue.shift()
      if (next) next()
      else running -= 1
    }
  }
}
