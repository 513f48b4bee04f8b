/** Probes: /livez says that the process answers; /readyz and /health that it can serve: the database answers, no drain. */
import { Hono } from 'hono'
import type { AppContext, AppEnv } from '#/web/request/context.ts'

export interface HealthOptions {
  readonly databaseAnswers: () => Promise<boolean>
  readonly draining: () => boolean
}

export function healthRoutes(options: HealthOptions): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get('/livez', (c) => c.json({ status: 'alive' }))
    .get('/readyz', (c) => answerReadiness(c, options))
    .get('/health', (c) => answerReadiness(c, options))
}

async function answerReadiness(c: AppContext, { databaseAnswers, draining }: HealthOptions) {
  // A load balancer must see a drain immediately, whatever the state of the database.
  if (draining()) return c.json({ status: 'unhealthy' }, 503)
  const connected = await databaseAnswers()
  const healthy = connected && !draining()
  return c.json(
    {
      status: healthy ? 'healthy' : 'unhealthy',
      database: connected ? 'connected' : 'disconnected',
    },
    healthy ? 200 : 503,
  )
}
