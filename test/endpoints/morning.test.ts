import { expect, it } from 'vitest'
import { schoolMorning } from '../support/morning.ts'

/** All of them with MORNING_PEOPLE=3000; that takes minutes. */
const people = Number(process.env['MORNING_PEOPLE'] ?? 100)

it(
  'refuses nobody of a school behind one address, with default settings',
  async () => {
    const { statuses, welcome } = await schoolMorning(people)
    expect(welcome).toBe(people)
    expect([statuses.get(429), statuses.get(503)]).toEqual([undefined, undefined])
  },
  people * 600,
)
