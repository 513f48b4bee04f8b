import { expect, it } from 'vitest'
import { schoolMorning } from '../support/morning.ts'

it('refuses nobody of a school behind one address, with default settings', async () => {
  const { statuses, welcome } = await schoolMorning(100)
  expect(welcome).toBe(100)
  expect([statuses.get(429), statuses.get(503)]).toEqual([undefined, undefined])
})
