/** What may happen to sessions: each way to start one, and each that ends one or some. */
import fc from 'fast-check'

const people = fc.nat(4)
const session = fc.nat(20)
const times = fc.integer({ min: 1, max: 3 })
const named = <K extends string>(name: K) => ({ do: fc.constant(name) })

export const anyAction = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ...named('sign-in'),
      user: people,
      source: fc.constantFrom('local', 'github', 'http_api'),
      remembered: fc.boolean(),
      replaces: fc.option(session),
      crash: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      ...named('newcomer'),
      source: fc.constantFrom('github', 'http_api'),
      times,
    }),
  },
  { weight: 4, arbitrary: fc.record({ ...named('visit'), session, stolen: fc.boolean(), times }) },
  { weight: 3, arbitrary: fc.record({ ...named('sign-out'), session, times }) },
  {
    weight: 2,
    arbitrary: fc.record({
      ...named('revoke'),
      session,
      by: people,
      which: fc.constantFrom('this', 'others', 'all'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...named('unlink'),
      user: people,
      source: fc.constantFrom('github', 'http_api'),
      session,
    }),
  },
  { weight: 1, arbitrary: fc.record({ ...named('disable'), user: people }) },
  { weight: 1, arbitrary: fc.record({ ...named('enable'), user: people }) },
  { weight: 1, arbitrary: fc.record({ ...named('password'), user: people }) },
  { weight: 1, arbitrary: fc.record({ ...named('delete'), user: people }) },
  { weight: 2, arbitrary: fc.record({ ...named('sweep'), replicas: times }) },
  {
    weight: 4,
    arbitrary: fc.record({ ...named('wait'), minutes: fc.integer({ min: 1, max: 400 }) }),
  },
)

export type Action = typeof anyAction extends fc.Arbitrary<infer T> ? T : never
