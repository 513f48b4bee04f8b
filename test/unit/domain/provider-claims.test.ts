import type { Configuration } from 'openid-client'
import { describe, expect, it } from 'vitest'
import { readClaims } from '#/domain/identity-providers/oidc.ts'

/** A provider that says all in its ID token. */
const read = (claims: Record<string, unknown>) => {
  const config = { serverMetadata: () => ({}) } as unknown as Configuration
  const idToken = { iss: 'https://id.example.test', sub: '1', ...claims }
  const tokens = { claims: () => idToken } as unknown as Parameters<typeof readClaims>[1]
  return readClaims(config, tokens)
}

const ada = 'ada@example.test'

describe('the claims of a provider', () => {
  it.each([
    [
      'Keycloak',
      { email: ada, email_verified: true, name: 'Ada Lovelace', preferred_username: 'ada' },
      { email: ada, emailVerified: true, fullName: 'Ada Lovelace', username: 'ada' },
    ],
    [
      'Entra ID without an address',
      { name: 'Ada Lovelace', preferred_username: 'ada@tenant.example.test' },
      {
        email: undefined,
        emailVerified: false,
        fullName: 'Ada Lovelace',
        username: 'ada@tenant.example.test',
      },
    ],
    [
      'Google',
      { email: ada, email_verified: true, name: 'Ada Lovelace', hd: 'example.test' },
      { email: ada, emailVerified: true, fullName: 'Ada Lovelace', username: 'ada' },
    ],
    [
      'Okta',
      { email: ada, email_verified: true, name: 'Ada Lovelace', preferred_username: ada },
      { email: ada, emailVerified: true, fullName: 'Ada Lovelace', username: ada },
    ],
    [
      'Auth0',
      { email: ada, email_verified: false, name: ada, nickname: 'ada' },
      { email: ada, emailVerified: false, fullName: ada, username: 'ada' },
    ],
    [
      'Zitadel, nothing known',
      { email: null, email_verified: null, name: null, preferred_username: 'ada' },
      { email: undefined, emailVerified: false, fullName: '', username: 'ada' },
    ],
    [
      'Authentik',
      { email: ada, email_verified: true, name: 'Ada', preferred_username: 'ada', groups: [] },
      { email: ada, emailVerified: true, fullName: 'Ada', username: 'ada' },
    ],
    [
      'Apple, in words',
      { email: ada, email_verified: 'true', is_private_email: 'false' },
      { email: ada, emailVerified: false, fullName: '', username: 'ada' },
    ],
    [
      'one that is out of its mind',
      { email: ['x'], email_verified: 1, name: 7, preferred_username: {} },
      { email: undefined, emailVerified: false, fullName: '', username: '' },
    ],
  ])('are read from %s', async (_, claims, expected) => {
    expect(await read(claims)).toMatchObject({ subject: '1', ...expected })
  })
})
