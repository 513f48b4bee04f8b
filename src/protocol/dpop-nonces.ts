/**
 * The nonces this server wants in DPoP proofs, RFC 9449 §8: a keyed digest of the time window, so that every replica
 * knows those of the others and nobody stores any.
 */
import { constantTimeEqual, deriveKey, hmac, newestOf } from './secrets.ts'

const windowMs = 150_000

/** How long a nonce that is known now can be known at most, the next window's included. */
export const nonceLifetimeMs = 3 * windowMs

export interface DpopNonces {
  /** The nonce for the client's next proof. */
  current(now: Date): string
  /** Whether it was made by one of us, two and a half to five minutes ago at most. */
  isKnown(nonce: string, now: Date): boolean
}

/** The newest secret creates nonces, all secrets verify them. */
export function createDpopNonces(secrets: readonly string[]): DpopNonces {
  const keys = secrets.map((secret) => deriveKey(secret, 'dpop nonces'))
  const own = newestOf(keys)
  const windowOf = (now: Date) => Math.floor(now.getTime() / windowMs)
  return {
    current: (now) => hmac(own, String(windowOf(now))),
    isKnown(nonce, now) {
      // The next window too: another replica's clock may be ahead.
      const windows = [0, -1, 1].map((offset) => String(windowOf(now) + offset))
      return keys.some((key) =>
        windows.some((window) => constantTimeEqual(nonce, hmac(key, window))),
      )
    },
  }
}
