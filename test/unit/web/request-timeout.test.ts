import { setTimeout as sleep } from 'node:timers/promises'
import { createNoopMeter } from '@opentelemetry/api'
import { Hono } from 'hono'
import { expect, it } from 'vitest'
import { deadlineAt } from '#/database/deadline.ts'
import { createLog } from '#/telemetry/log.ts'
import { createRecorder } from '#/telemetry/recorder.ts'
import { requestTimeout } from '#/web/guards/request-timeout.ts'
import type { AppEnv } from '#/web/request/context.ts'
import { createErrorHandler } from '#/web/request/error-handler.ts'

const boundMs = 200

function createApp() {
  const log = createLog({ level: 'silent' })
  const recorder = createRecorder(createNoopMeter())
  const goesOn = Promise.withResolvers<boolean>()
  const app = new Hono<AppEnv>()
    .use(async (c, next) => {
      c.set('log', log)
      c.set('recorder', recorder)
      await next()
    })
    .use(requestTimeout(boundMs))
    .all('/quick', (c) => c.text('quick'))
    .all('/stream', () => new Response(slowStream()))
    .all('*', async (c) => {
      await sleep(2 * boundMs)
      goesOn.resolve(performance.now() < deadlineAt())
      return c.text('too late')
    })
  app.onError(createErrorHandler({ issuer: 'https://id.example.test' }))
  return { app, goesOn: goesOn.promise }
}

/** Each piece says whether it may still ask the database. */
const slowStream = () =>
  new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await sleep(boundMs)
        controller.enqueue(new TextEncoder().encode(performance.now() < deadlineAt() ? '+' : '-'))
        if (performance.now() - start > 3 * boundMs) controller.close()
      },
      start() {
        start = performance.now()
      },
    },
    { highWaterMark: 0 },
  )
let start = 0

it('answers programs that they may try again, when the bound has passed and no sooner', async () => {
  const { app, goesOn } = createApp()
  const asked = performance.now()
  const response = await app.request('/oauth/token', { method: 'POST' })
  const took = performance.now() - asked
  expect(took).toBeGreaterThan(boundMs - 10)
  expect(took).toBeLessThan(2 * boundMs)
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
  expect(await response.json()).toMatchObject({ error: 'temporarily_unavailable' })
  expect(await goesOn).toBe(false)
})

it('answers people by a page', async () => {
  const { app } = createApp()
  const response = await app.request('/login', { headers: { accept: 'text/html' } })
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
  expect(await response.text()).toContain('The request timed out')
})

it('leaves alone what is answered in time', async () => {
  const response = await createApp().app.request('/quick')
  expect([response.status, await response.text()]).toEqual([200, 'quick'])
})

it('lets a file be read for longer, as long as each of its reads is answered', async () => {
  const response = await createApp().app.request('/stream')
  expect(response.status).toBe(200)
  expect(await response.text()).toMatch(/^\+{3,}$/)
})
