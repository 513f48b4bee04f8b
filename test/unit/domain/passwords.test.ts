import { hash } from '@node-rs/argon2'
import { expect, it } from 'vitest'
import { createPasswords, OverloadedError } from '#/domain/users/passwords.ts'

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
  const passwords = createPasswords({ concurrency: 1, queueLimit: 2 })
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

it('takes a password however it is composed, also one that was hashed as it was typed', async () => {
  const passwords = createPasswords()
  const [composed, decomposed, wide] = [
    'Bj\u00f6rn & friends',
    'Bjo\u0308rn & friends',
    'ｗｉｄｅ ｗｏｒｄｓ',
  ]
  const stored = await passwords.hash(decomposed)
  expect(await passwords.verify(stored, composed)).toBe(true)
  expect(await passwords.verify(stored, decomposed)).toBe(true)
  expect(await passwords.verify(await passwords.hash(wide), 'wide words')).toBe(true)
  const earlier = await hash(decomposed)
  expect(await passwords.verify(earlier, decomposed)).toBe(true)
  expect(await passwords.verify(earlier, composed)).toBe(false)
})
