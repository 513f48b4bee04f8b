/** The short form of `npm run torture`: everybody and every fault once or more, and the books agree. */
import { expect, test } from 'vitest'
import { total, wrongsOf } from './torture/books.ts'
import { findingsOf } from './torture/report.ts'
import { torture } from './torture/torture.ts'

test('nothing is lost, doubled, miscounted or crashes while everything around the server fails', async () => {
  const outcome = await torture({
    seconds: 60,
    seed: '18',
    replicas: 2,
    pooler: false,
    people: 20,
    machines: 2,
    say: () => {},
  })
  const { books } = outcome
  // A crowd that was held up all the time, or faults that were not played, would prove nothing.
  expect(books.events).toBeGreaterThan(500)
  expect(total(books.faults)).toBeGreaterThan(10)
  expect(
    [...wrongsOf(books)].filter(([, times]) => times > 0),
    findingsOf(outcome),
  ).toEqual([])
})
