/** GET /device and POST /device/verify: typing a user code, and seeing what it is for (RFC 8628 §3.3). */
import { writeAudit } from '#/domain/audit/audit.ts'
import { findConsentedScope } from '#/domain/consents/consents.ts'
import { findWaitingDevice, type WaitingDevice } from '#/domain/device-codes/device-codes.ts'
import { accessDurationOf } from '#/domain/tokens/lifetimes.ts'
import { scopeWords } from '#/protocol/scopes.ts'
import { parseUserCode } from '#/protocol/user-code.ts'
import { outdated } from '#/web/guards/csrf.ts'
import { byNetworks, enforceLimits } from '#/web/limits/rate-limit.ts'
import { brandingOf } from '#/web/pages/client-branding.ts'
import { describeScopes } from '#/web/pages/scope-descriptions.ts'
import { networkOf } from '#/web/request/client-address.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readForm } from '#/web/request/forms.ts'
import { signedInUser } from '#/web/sessions/current-user.ts'
import type { DeviceOptions } from './options.ts'
import { renderCodePage, renderConfirmPage } from './pages.ts'

/** The page for a code, with the code filled in where it is known (RFC 8628 §3.3.1). */
export const pathOf = (userCode: string | undefined): string =>
  userCode === undefined ? '/device' : `/device?${new URLSearchParams({ user_code: userCode })}`

/** Shows the code from the address without looking it up: a link must not be a way to guess codes. */
export function getDevice(c: AppContext, options: DeviceOptions) {
  return codePage(c, options, { userCode: parseUserCode(c.req.query('user_code') ?? '') })
}

/** A form that has expired looks up no code. */
export async function postOutdated(c: AppContext, options: DeviceOptions) {
  const typed = (await readForm(c)).get('user_code') ?? ''
  c.status(403)
  return codePage(c, options, { typed: typed.slice(0, 20), warning: outdated })
}

export async function postVerify(c: AppContext, options: DeviceOptions) {
  const { db, secrets, csrf } = options
  const spent = await limited(c, options)
  const typed = (await readForm(c)).get('user_code') ?? ''
  const userCode = parseUserCode(typed)
  const waiting =
    userCode === undefined
      ? undefined
      : await findWaitingDevice(db, { userCode, secrets, now: c.var.now })
  if (userCode === undefined || !waiting) return refuse(c, options, typed)
  spent.refund()
  c.var.recorder.userCodeEntered('found')
  const { user } = signedInUser(c)
  const consented = await findConsentedScope(db, user.id, waiting.client.clientId)
  return c.html(
    await renderConfirmPage({
      csrfToken: csrf.token(c),
      userCode,
      ...confirmation(c, waiting, options),
      alreadyGranted: scopeWords(consented ?? ''),
      switchAccountHref: switchAccount(userCode),
    }),
  )
}

function limited(c: AppContext, { db, verifyLimiters }: DeviceOptions) {
  const [byAddress, bySession] = verifyLimiters
  const { id } = signedInUser(c).session
  const addresses = byNetworks(byAddress, c.var.address)
  return enforceLimits(c, db, [...addresses, { limiter: bySession, key: id }])
}

/** One answer for every reason, so that it does not reveal whether the code ever existed. */
async function refuse(c: AppContext, options: DeviceOptions, typed: string) {
  const { user, session } = signedInUser(c)
  await writeAudit(options.db, c.var.origin, {
    type: 'DEVICE_CODE_REFUSED',
    at: c.var.now,
    success: false,
    actor: user,
    resource: { type: 'session', id: session.id },
  })
  c.var.recorder.userCodeEntered('refused')
  c.status(400)
  return codePage(c, options, { typed: typed.slice(0, 20), refused: true })
}

function confirmation(c: AppContext, { code, client }: WaitingDevice, { lasting }: DeviceOptions) {
  return {
    id: code.id,
    client: brandingOf(c, client),
    user: { username: signedInUser(c).user.username },
    scopes: describeScopes(code.scope),
    resources: code.resources,
    lasting: accessDurationOf(client, { scope: code.scope, hasSession: false }, lasting),
    origin: {
      ip: code.ip,
      isNear: networkOf(code.ip) === networkOf(c.var.address),
      requester: code.requester,
      at: code.createdAt,
    },
    now: c.var.now,
  }
}

async function codePage(
  c: AppContext,
  { csrf }: DeviceOptions,
  entry: { userCode?: string | undefined; typed?: string; refused?: boolean; warning?: string },
) {
  return c.html(
    await renderCodePage({
      csrfToken: csrf.token(c),
      user: { username: signedInUser(c).user.username },
      value: entry.userCode ?? entry.typed,
      prefilled: entry.userCode !== undefined,
      refused: entry.refused ?? false,
      warning: entry.warning,
      switchAccountHref: switchAccount(entry.userCode),
    }),
  )
}

const switchAccount = (userCode: string | undefined) =>
  `/login?${new URLSearchParams({ redirect: pathOf(userCode), switch: '1' })}`
