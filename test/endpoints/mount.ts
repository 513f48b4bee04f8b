/** A few routes on an app of their own, with what the whole app gives to each request. */

import type { BlockList } from 'node:net'
import { Hono } from 'hono'
import { createLog } from '#/telemetry/log.ts'
import { clientAddress } from '#/web/request/client-address.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { createErrorHandler } from '#/web/request/error-handler.ts'
import { requestTelemetry } from '#/web/request/request-telemetry.ts'
import type { TestApp } from '../support/app.ts'

type Send = TestApp['request']

export function mount(app: TestApp, add: (routes: Hono<AppEnv>) => void): { request: Send } {
  const routes = new Hono<AppEnv>()
  routes.use(requestTelemetry({ recorder: app.recorder, scheme: 'http' }))
  routes.use(giveContext(app, app.config.server.trustedProxies))
  add(routes)
  routes.onError(createErrorHandler({ issuer: app.config.server.baseUrl }))
  return {
    async request(path, { ip = '192.0.2.10', ...init } = {}) {
      const answer = await routes.request(path, init, {
        incoming: { socket: { remoteAddress: ip } } as AppEnv['Bindings']['incoming'],
      })
      await app.repeatedEvents.flush()
      return answer
    },
  }
}

function giveContext(app: TestApp, trusted: BlockList) {
  const log = createLog({ level: 'silent' })
  return async (c: AppContext, next: () => Promise<void>) => {
    const address = clientAddress(c, trusted)
    c.set('log', log)
    c.set('repeatedEvents', app.repeatedEvents)
    c.set('now', app.now())
    c.set('address', address)
    c.set('origin', { enabled: true, ip: address, traceId: c.var.traceId })
    await next()
  }
}
