import { describe, expect, it } from 'vitest'
import { isCodeChallenge, isCodeVerifier, matchesChallenge } from '#/protocol/pkce.ts'

describe('PKCE', () => {
  it('agrees with the example of RFC 7636, appendix B', () => {
    const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
    const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    expect(matchesChallenge(verifier, challenge)).toBe(true)
    expect(matchesChallenge(challenge, verifier)).toBe(false)
    // What the method "plain" would take.
    expect(matchesChallenge(challenge, challenge)).toBe(false)
    expect(matchesChallenge(`${verifier}x`, challenge)).toBe(false)
    expect(matchesChallenge(verifier, `${challenge}=`)).toBe(false)
    expect(matchesChallenge('', '')).toBe(false)
  })

  it('knows a verifier by its 43 to 128 unreserved characters', () => {
    for (const good of ['a'.repeat(43), 'Z9-._~'.repeat(21), 'a'.repeat(128)])
      expect(isCodeVerifier(good)).toBe(true)
    for (const wrong of [
      '',
      'a'.repeat(42),
      'a'.repeat(129),
      `${'a'.repeat(42)}+`,
      `${'a'.repeat(42)}=`,
      `${'a'.repeat(43)}\n`,
      `${'a'.repeat(42)}é`,
    ])
      expect(isCodeVerifier(wrong), JSON.stringify(wrong)).toBe(false)
  })

  it('knows a challenge by its 43 characters of base64url', () => {
    expect(isCodeChallenge(`${'a_-Z'.repeat(10)}abc`)).toBe(true)
    for (const wrong of [
      '',
      'a'.repeat(42),
      'a'.repeat(44),
      `${'a'.repeat(42)}.`,
      `${'a'.repeat(42)}=`,
      `${'a'.repeat(43)}\n`,
    ])
      expect(isCodeChallenge(wrong), JSON.stringify(wrong)).toBe(false)
  })
})
