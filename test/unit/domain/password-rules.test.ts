import { describe, expect, it } from 'vitest'
import { findPasswordProblem } from '#/domain/users/password-rules.ts'

const context = {
  username: 'mallory',
  fullName: 'Mallory Ñandú',
  email: 'm.hopper@kestrel.example',
  issuer: 'https://login.heron.example/auth',
}

describe('findPasswordProblem', () => {
  it.each([
    ['short', 'pa55-wd'],
    ['short', '\u{1F511}\u{1F511}\u{1F511}\u{1F511}'],
    ['short', 'e\u0301'.repeat(7)],
    ['long', `${'x1y2'.repeat(256)}z`],
    ['long', '\uFDFA'.repeat(60)],
    ['common', 'password'],
    ['common', 'PassWord'],
    ['common', 'ｐａｓｓｗｏｒｄ'],
    ['common', 'passwordpassword'],
    ['simple', '12345678'],
    ['common', '1234567890'],
    ['common', 'Dragon2026!'],
    ['common', '!!qwerty!!'],
    ['simple', 'aaaaaaaaaaaa'],
    ['simple', 'abcabcabc'],
    ['simple', 'abcdefghij'],
    ['simple', '98765432'],
    ['personal', 'authgate'],
    ['personal', 'AuthGate-2026'],
    ['personal', 'mallory1'],
    ['personal', '1mallory!'],
    ['personal', 'Ñandú2026'],
    ['personal', 'hopperhopper2'],
    ['personal', 'm.hopper@kestrel.example'],
    ['personal', 'kestrel99'],
    ['personal', 'heron-login'],
    ['personal', 'mallory-password'],
  ])('finds %s in %j', async (problem, password) => {
    expect(await findPasswordProblem(password, context)).toBe(problem)
  })

  it.each([
    'correct horse battery staple',
    'mallory likes long walks',
    'seven hundred tulips',
    'пароль из слов',
    '\u{1F511}\u{1F40E}\u{1F50B}\u{1F4CE}\u{1F319}\u{1F3B7}\u{1F9C0}\u{1F335}',
    'x1y2z3w4'.repeat(128),
    ' spaces count ',
  ])('takes %j', async (password) => {
    expect(await findPasswordProblem(password, context)).toBeUndefined()
  })

  it('is done soon, whatever it is given', async () => {
    const start = performance.now()
    for (const password of ['a'.repeat(1024), `${'ab'.repeat(511)}c`, `${'a'.repeat(1023)}b`])
      await findPasswordProblem(password, context)
    expect(performance.now() - start).toBeLessThan(500)
  })

  it('needs no name, address or dot in the host', async () => {
    const bare = { username: 'al', fullName: '', email: null, issuer: 'http://localhost:8080' }
    expect(await findPasswordProblem('naturally odd', bare)).toBeUndefined()
    expect(await findPasswordProblem('localhost', bare)).toBe('personal')
  })
})
