/** The worker that delivers logout tokens, at its end. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { logoutDeliveries } from '#/database/schema/logout-deliveries.ts'
import { startLogoutWorker } from '#/domain/logout-deliveries/worker.ts'
import { createLog } from '#/telemetry/log.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { addClient } from '../support/people.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

it('stops only when every delivery has ended, although one of them failed', async () => {
  const { db } = app.database
  const [broken, slow] = ['https://broken.example.test/', 'https://slow.example.test/']
  for (const backchannelLogoutUri of [broken, slow]) {
    const { clientId } = (await addClient(db, { backchannelLogoutUri })).client
    const [id, sid, userId] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()]
    const at = new Date(Date.now() - 60_000)
    const row = { id, clientId, sid, userId, createdAt: at, nextAttemptAt: at }
    await db.insert(logoutDeliveries).values(row)
  }
  const begun = Promise.withResolvers<void>()
  const failed = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  let slowDeliveries = 0
  const worker = startLogoutWorker(db, {
    issuer: app.config.server.baseUrl,
    keys: app.keys,
    clock: app.now,
    log: createLog({ level: 'silent' }),
    recorder: {
      ...app.recorder,
      logoutDelivered() {
        if (slowDeliveries > 0) return
        failed.resolve()
        throw new Error('a delivery that nobody expected to fail')
      },
    },
    async fetchDocument({ url }) {
      if (url === slow) {
        begun.resolve()
        await answer.promise
        slowDeliveries += 1
      }
      return { text: '', contentType: undefined }
    },
  })
  worker.wake()
  await Promise.all([begun.promise, failed.promise])
  let stopped = false
  const stopping = worker.stop().then(() => {
    stopped = true
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(stopped).toBe(false)
  answer.resolve()
  await stopping
  expect(slowDeliveries).toBe(1)
  expect(await db.$count(logoutDeliveries)).toBe(0)
})
