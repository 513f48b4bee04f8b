/** POST /device/decide: the user's yes or no to a device. Of several answers to one code, one counts. */
import {
  type AnsweredDevice,
  approveDevice,
  denyDevice,
  findAnsweredDevice,
} from '#/domain/device-codes/decide.ts'
import { authenticationOf } from '#/protocol/authentication.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { isUuid } from '#/protocol/ids.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { signedInUser } from '#/web/sessions/current-user.ts'
import type { DeviceOptions } from './options.ts'
import { renderAnsweredPage, renderTooLatePage } from './pages.ts'

export async function postDecide(c: AppContext, options: DeviceOptions) {
  const form = await readForm(c)
  const id = form.get('request') ?? ''
  const action = form.get('action')
  if (action !== 'approve' && action !== 'deny')
    throw new OAuthError('invalid_request', 'action must be approve or deny')
  const decide = action === 'approve' ? approve : deny
  const answered = isUuid(id)
    ? ((await decide(c, id, options)) ?? (await findAnswered(c, id, { action, ...options })))
    : undefined
  if (!answered) {
    c.status(409)
    return c.html(await renderTooLatePage())
  }
  return c.html(await renderAnsweredPage({ action, client: { name: answered.client.name } }))
}

const findAnswered = (
  c: AppContext,
  id: string,
  { db, action }: DeviceOptions & { readonly action: 'approve' | 'deny' },
) => findAnsweredDevice(db, { id, user: signedInUser(c).user, now: c.var.now }, action)

async function approve(c: AppContext, id: string, { db }: DeviceOptions) {
  const { recorder, now, origin } = c.var
  const { user, session } = signedInUser(c)
  const { amr, acr, authTime } = authenticationOf(session)
  const answered = await approveDevice(
    db,
    {
      id,
      user,
      sessionId: session.id,
      authTime,
      details: { ...(amr && { amr }), ...(acr !== undefined && { acr }) },
      now,
    },
    origin,
  )
  if (!answered) return undefined
  // Another replica, whose clock may be ahead, has dated it.
  const ms = Math.max(0, now.getTime() - answered.code.createdAt.getTime())
  recorder.deviceCodeAuthorized(ms / 1000)
  if (answered.consented) recorder.consentGranted('device_code')
  return answered
}

async function deny(
  c: AppContext,
  id: string,
  { db }: DeviceOptions,
): Promise<AnsweredDevice | undefined> {
  const { recorder, now, origin } = c.var
  const answered = await denyDevice(db, { id, user: signedInUser(c).user, now }, origin)
  if (answered) recorder.deviceCodesEnded('denied', 1)
  return answered
}
