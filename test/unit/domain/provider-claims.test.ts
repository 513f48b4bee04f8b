import { describe, expect, it } from 'vitest'
import { profileOf } from '#/domain/identity-providers/oidc.ts'

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
  ])('are read from %s', (_, claims, expected) => {
    const said = { iss: 'https://id.example.test', sub: '1', ...claims }
    expect(profileOf(said)).toMatchObject({ subject: '1', ...expected })
  })

  it('never say who it is or when they were asked: the ID token does', () => {
    const idToken = { iss: 'https://id.example.test', sub: '1', auth_time: 5 }
    expect(
      profileOf(idToken, { iss: 'https://evil.test', sub: '2', auth_time: 9, name: 'Ada' }),
    ).toMatchObject({
      issuer: idToken.iss,
      subject: '1',
      authTime: 5,
      fullName: 'Ada',
    })
  })
})
