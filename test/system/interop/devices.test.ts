/** The device grant (RFC 8628), polled by openid-client. */
import * as openid from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { answerDevice } from '../../support/flow.ts'
import { onLoopback, type Running, startServer } from '../../support/interop.ts'

let running: Running
beforeAll(async () => {
  running = await startServer()
})
afterAll(() => running?.home.remove())

const start = async () => {
  const config = await openid.discovery(
    new URL(running.server.url),
    running.publicId,
    undefined,
    openid.None(),
    onLoopback,
  )
  const parameters = { scope: 'openid profile offline_access' }
  const device = await openid.initiateDeviceAuthorization(config, parameters)
  return { config, device }
}

it('a device gets its tokens once the person has said yes', async () => {
  const { config, device } = await start()
  const polling = openid.pollDeviceAuthorizationGrant(config, device)
  await answerDevice(running.browser, device.user_code, 'approve')
  const tokens = await polling
  const { access_token, refresh_token = '' } = tokens
  const subject = tokens.claims()?.sub ?? ''
  expect(await openid.fetchUserInfo(config, access_token, subject)).toMatchObject({
    name: 'Administrator',
  })
  expect((await openid.refreshTokenGrant(config, refresh_token)).claims()?.sub).toBe(subject)
})

it('a device is told when the person has said no', async () => {
  const { config, device } = await start()
  await answerDevice(running.browser, device.user_code, 'deny')
  await expect(openid.pollDeviceAuthorizationGrant(config, device)).rejects.toMatchObject({
    error: 'access_denied',
  })
})
