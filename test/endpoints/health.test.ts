/** Probes: what a balancer and an orchestrator are told. */
import { describe, expect, it } from 'vitest'
import { healthRoutes } from '#/endpoints/health/routes.ts'

const never = () => new Promise<boolean>(() => {})

describe.each(['/readyz', '/health'])('%s', (path) => {
  it('says 503 during a drain at once, without asking a database that may be frozen', async () => {
    const app = healthRoutes({ databaseAnswers: never, draining: () => true })
    const response = await app.request(path)
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({ status: 'unhealthy' })
  })

  it.each([
    [true, 200, { status: 'healthy', database: 'connected' }],
    [false, 503, { status: 'unhealthy', database: 'disconnected' }],
  ])('follows the database: answering is %s', async (answers, status, body) => {
    const app = healthRoutes({
      databaseAnswers: () => Promise.resolve(answers),
      draining: () => false,
    })
    const response = await app.request(path)
    expect([response.status, await response.json()]).toEqual([status, body])
  })
})

it('/livez says that the process lives, during a drain as well', async () => {
  const app = healthRoutes({ databaseAnswers: never, draining: () => true })
  expect((await app.request('/livez')).status).toBe(200)
})
