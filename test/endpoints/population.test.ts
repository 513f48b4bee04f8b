/** What the counts behind the gauges cost, as they tell it themselves. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { populationGroups } from '#/protocol/vocabulary.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

const timed = 'authgate_population_query_duration_seconds'

it('times each count without its wait for those before it on their one connection', async () => {
  const start = performance.now()
  const samples = await app.samples()
  const wallSeconds = (performance.now() - start) / 1000
  const of = (part: string) =>
    populationGroups.map((group) => samples.get(`${timed}_${part}{group="${group}"}`) ?? 0)
  expect(of('count')).toEqual(populationGroups.map(() => 1))
  // Only durations that do not overlap fit into the time of all.
  expect(of('sum').reduce((sum, seconds) => sum + seconds, 0)).toBeLessThanOrEqual(wallSeconds)
})
