/** The device grant, step by step, below the endpoints. */
import type { Database } from '#/database/client.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { approveDevice } from '#/domain/device-codes/decide.ts'
import {
  findWaitingDevice,
  issueDeviceCode,
  type NewDeviceCode,
} from '#/domain/device-codes/device-codes.ts'
import { type DevicePoll, redeemDeviceCode } from '#/domain/device-codes/redeem-device-code.ts'
import type { User } from '#/domain/users/users.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import { randomUserCode } from '#/protocol/user-code.ts'
import { addSession, lifetimes } from './grants.ts'
import { judged } from './judged.ts'
import { addClient } from './people.ts'

export const deviceSecrets = ['d'.repeat(32)]
export const deviceLifetimeMs = 30 * 60_000

export const addDeviceClient = (db: Database, more: Parameters<typeof addClient>[1] = {}) =>
  addClient(db, {
    redirectUris: [],
    grantTypes: [deviceCodeGrantType, 'refresh_token'],
    ...more,
  })

export const askForCodes = (db: Database, clientId: string, more: Partial<NewDeviceCode> = {}) =>
  judged(db, { clientId, ...more }, (clientVersion) =>
    issueDeviceCode(
      db,
      {
        clientId,
        scope: 'openid offline_access',
        resources: [],
        ip: '192.0.2.7',
        requester: 'curl',
        intervalSeconds: 5,
        lifetimeMs: deviceLifetimeMs,
        secrets: deviceSecrets,
        newUserCode: randomUserCode,
        now: new Date(),
        ...more,
        clientVersion,
      },
      systemOrigin,
    ),
  )

export const findDevice = (
  db: Database,
  userCode: string,
  { secrets = deviceSecrets, now = new Date() }: { secrets?: string[]; now?: Date } = {},
) => findWaitingDevice(db, { userCode, secrets, now })

/** Approves as the page does; `id` is the row's. */
export const approve = (
  db: Database,
  answer: { id: string; user: User; sessionId: string; now?: Date },
) =>
  approveDevice(
    db,
    { authTime: new Date(), details: { amr: ['pwd'] }, now: new Date(), ...answer },
    systemOrigin,
  )

/** A device code that its user has approved. */
export async function addApproved(
  db: Database,
  user: User,
  clientId: string,
  more: Partial<NewDeviceCode> = {},
) {
  const { deviceCode, userCode } = await askForCodes(db, clientId, more)
  const waiting = await findDevice(db, userCode)
  const sessionId = await addSession(db, user)
  const answered = await approve(db, { id: waiting?.code.id ?? '', user, sessionId })
  if (!answered) throw new Error('the test device was not approved')
  return { deviceCode, userCode, sessionId, code: answered.code }
}

export const poll = (
  db: Database,
  deviceCode: string,
  clientId: string,
  more: Partial<DevicePoll> = {},
) =>
  judged(db, { clientId, ...more }, (clientVersion) =>
    redeemDeviceCode(
      db,
      {
        deviceCode,
        clientId,
        dpopJkt: null,
        bindRefresh: false,
        resources: undefined,
        lifetimes,
        refreshTokens: true,
        now: new Date(),
        ...more,
        clientVersion,
      },
      systemOrigin,
    ),
  )
