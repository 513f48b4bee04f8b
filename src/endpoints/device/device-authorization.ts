/** POST /oauth/device/code: the device authorization request (RFC 8628 §3.1 and §3.2). */
import type { Client } from '#/domain/clients/clients.ts'
import { issueDeviceCode } from '#/domain/device-codes/device-codes.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { deviceCodeGrantType } from '#/protocol/grant-types.ts'
import { randomUserCode } from '#/protocol/user-code.ts'
import { readResources, resolveScope } from '#/web/authorization-request/oauth.ts'
import { authenticateClient } from '#/web/clients/client-authentication.ts'
import { judgeAgain } from '#/web/clients/judge-again.ts'
import { limitFailures } from '#/web/limits/limit-failures.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readFields, uniqueParameters } from '#/web/request/forms.ts'
import type { DeviceOptions } from './options.ts'
import { nameRequester } from './requester.ts'
import { pathOf } from './verify.ts'

const intervalSeconds = 5

export async function postDeviceAuthorization(c: AppContext, options: DeviceOptions) {
  const { issuer, lifetimeMs } = options
  const { deviceCode, userCode } = await issue(c, options)
  c.var.recorder.deviceCodeRequested('success')
  return c.json({
    device_code: deviceCode,
    user_code: userCode,
    verification_uri: `${issuer}${pathOf(undefined)}`,
    verification_uri_complete: `${issuer}${pathOf(userCode)}`,
    expires_in: Math.floor(lifetimeMs / 1000),
    interval: intervalSeconds,
  })
}

async function issue(c: AppContext, options: DeviceOptions) {
  try {
    return await limitFailures(c, options, () => create(c, options))
  } catch (error) {
    const isLimited = error instanceof PageError && error.status === 429
    if (!isLimited) c.var.recorder.deviceCodeRequested('error')
    throw error
  }
}

async function create(c: AppContext, options: DeviceOptions) {
  const { secrets, lifetimeMs, offered } = options
  const { client, fields, form } = await identify(c, options)
  return judgeAgain(options.authentication, client, (current) =>
    issueDeviceCode(
      options.db,
      {
        clientId: current.clientId,
        clientVersion: current.version,
        ...readRequest(current, { fields, form, offered }),
        ip: c.var.address,
        requester: nameRequester(c.req.header('user-agent') ?? ''),
        intervalSeconds,
        lifetimeMs,
        secrets,
        newUserCode: randomUserCode,
        now: c.var.now,
      },
      c.var.origin,
    ),
  )
}

async function identify(c: AppContext, { authentication }: DeviceOptions) {
  const fields = await readFields(c)
  const form = uniqueParameters(fields, ['resource'])
  return { client: await authenticateClient(c, authentication, form), fields, form }
}

function readRequest(
  client: Client,
  {
    fields,
    form,
    offered,
  }: Omit<Awaited<ReturnType<typeof identify>>, 'client'> & Pick<DeviceOptions, 'offered'>,
) {
  if (!client.grantTypes.includes(deviceCodeGrantType))
    throw new OAuthError(
      'unauthorized_client',
      'this client is not allowed to use the device grant',
    )
  return {
    scope: resolveScope(form.get('scope'), client, offered),
    resources: readResources(fields, client),
  }
}
