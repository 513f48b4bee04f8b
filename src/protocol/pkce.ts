/** Proof Key for Code Exchange, RFC 7636. S256 only: `plain` protects nobody (RFC 9700 §2.1.1). */
import { constantTimeEqual, sha256 } from './secrets.ts'

export const codeChallengeMethods = ['S256'] as const

/** RFC 7636 §4.2: the base64url of a SHA-256 digest, 43 characters. */
export const isCodeChallenge = (value: string): boolean => /^[A-Za-z0-9_-]{43}$/.test(value)

/** RFC 7636 §4.1: 43 to 128 unreserved characters. */
export const isCodeVerifier = (value: string): boolean => /^[A-Za-z0-9._~-]{43,128}$/.test(value)

/** RFC 7636 §4.6. */
export const matchesChallenge = (verifier: string, challenge: string): boolean =>
  constantTimeEqual(sha256(verifier), challenge)
