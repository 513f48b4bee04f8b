/**
 * The device grant (RFC 8628): POST /oauth/device/code, where a device asks, and the pages under /device, where its user
 * answers. The code alone decides nothing: who typed it is shown who asks for what, from where, and says yes or no.
 */
import { Hono, type MiddlewareHandler } from 'hono'
import { parseUserCode } from '#/protocol/user-code.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { postDecide } from './decide.ts'
import { postDeviceAuthorization } from './device-authorization.ts'
import type { DeviceOptions } from './options.ts'
import { getDevice, pathOf, postOutdated, postVerify } from './verify.ts'

export function deviceRoutes(options: DeviceOptions): Hono<AppEnv> {
  const { sessions, csrf } = options
  const { requireUser, optionalUser } = sessions
  const askAgain = (c: AppContext) => postOutdated(c, options)
  return new Hono<AppEnv>()
    .post('/oauth/device/code', (c) => postDeviceAuthorization(c, options))
    .get('/device', requireUser, (c) => getDevice(c, options))
    .post('/device/verify', optionalUser, backWhenSignedOut, csrf.requireOr(askAgain), (c) =>
      postVerify(c, options),
    )
    .post('/device/decide', optionalUser, backWhenSignedOut, csrf.requireOr(askAgain), (c) =>
      postDecide(c, options),
    )
}

/** A user who was signed out meanwhile signs in, returns to the same code and is asked again. */
const backWhenSignedOut: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.var.signedIn) return next()
  return c.redirect(pathOf(parseUserCode((await readForm(c)).get('user_code') ?? '')), 303)
}
