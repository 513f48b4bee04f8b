import { expect, it } from 'vitest'
import { schoolMorning } from '../support/morning.ts'

it('refuses nobody of three thousand people behind one address who sign in within three minutes', async () => {
  const { statuses, welcome } = await schoolMorning(3000)
  console.info('statuses', Object.fromEntries(statuses))
  expect(welcome).toBe(3000)
  expect([statuses.get(429), statuses.get(503)]).toEqual([undefined, undefined])
})
