/** RFC 8628 §3.4: a device asks whether its user has answered, and for the tokens if so. */
import { z } from 'zod'
import { redeemDeviceCode } from '#/domain/device-codes/redeem-device-code.ts'
import { OAuthError, type OAuthErrorCode } from '#/protocol/errors.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import type { DevicePollResult } from '#/protocol/vocabulary.ts'
import { defineGrant, type GrantContext } from '../grant.ts'
import { respond } from '../respond.ts'

export const deviceCode = defineGrant({
  grantType: deviceCodeGrantType,
  parameters: z.object({ device_code: z.string() }),
  async issue(context, parameters) {
    const { recorder } = context
    const redemption = await redeem(context, parameters.device_code)
    recorder.deviceCodePolled(redemption.result)
    if (redemption.result !== 'success') throw new OAuthError(...refusals[redemption.result])
    recorder.deviceCodesEnded('redeemed', 1)
    const { access, user, refreshToken } = redemption
    const refreshIssued = refreshToken !== undefined
    return respond(context, {
      grantType: deviceCodeGrantType,
      access,
      user,
      refreshToken,
      refreshIssued,
    })
  },
})

/** RFC 8628 §3.5. */
const refusals: Readonly<
  Record<Exclude<DevicePollResult, 'success'>, readonly [OAuthErrorCode, string]>
> = {
  pending: ['authorization_pending', 'the user has not answered the request yet'],
  slow_down: ['slow_down', 'increase the polling interval by five seconds'],
  expired: ['expired_token', 'the device code has expired; ask for a new one'],
  denied: ['access_denied', 'the user denied the request'],
  invalid: ['invalid_grant', 'the device code is not valid'],
}

async function redeem(context: GrantContext, code: string) {
  const { db, client, origin, recorder } = context
  try {
    return await redeemDeviceCode(
      db,
      {
        deviceCode: code,
        clientId: client.clientId,
        clientVersion: client.version,
        dpopJkt: context.dpopJkt,
        bindRefresh: client.type === 'public',
        resources: context.resources,
        lifetimes: context.lifetimes,
        refreshTokens: context.refreshTokens,
        now: context.now,
      },
      origin,
    )
  } catch (error) {
    // A resource that was not granted: this request has an outcome, too.
    if (error instanceof OAuthError) recorder.deviceCodePolled('invalid')
    throw error
  }
}
