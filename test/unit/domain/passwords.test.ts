import { expect, it } from 'vitest'
import { createPasswords, isAcceptablePassword, OverloadedError } from '#/domain/users/passwords.ts'

it('verifies what it hashed, and nothing against no hash at all', async () => {
  const passwords = createPasswords()
  const stored = await passwords.hash('correct horse')
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(await passwords.verify(stored, 'correct horse')).toBe(true)
  expect(await passwords.verify(stored, 'wrong horse')).toBe(false)
  expect(await passwords.verify(null, '')).toBe(false)
  expect(await passwords.verify(undefined, 'correct horse')).toBe(false)
})

it('runs some at once, lets some wait, and turns the rest away', async () => {
  const passwords = createPasswords({ atOnce: 1, waiting: 2 })
  const attempts = await Promise.allSettled(
    Array.from({ length: 5 }, () => passwords.verify(null, 'x')),
  )
  const refused = attempts.flatMap((attempt) =>
    attempt.status === 'rejected' ? [attempt.reason] : [],
  )
  expect(refused).toHaveLength(2)
  expect(refused.every((error) => error instanceof OverloadedError)).toBe(true)
  expect(await passwords.verify(null, 'x')).toBe(false)
})

it('accepts passwords of 8 to 1024 characters', () => {
  expect(
    ['1234567', '12345678', 'x'.repeat(1024), 'x'.repeat(1025)].map(isAcceptablePassword),
  ).toEqual([false, true, true, false])
})
