/** Services that act for the user whose token they were sent (RFC 8693), and what ends with the user's consent. */
import { createApp } from './admin.ts'
import {
  authenticated,
  authorizationPath,
  createFamily,
  expectError,
  postToken,
  redeem,
} from './apps.ts'
import { takeBack, withGuest } from './guests.ts'
import { approve, arrive, protocolError, signOut } from './people.ts'
import type { Scenario } from './scenarios.ts'
import { type App, did, expectThat, type Family, type World } from './world.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const [orders, stock] = ['https://orders.example.test/api', 'https://stock.example.test/api']

/** A portal that people sign in to, the API that it asks, and the one that this API asks in turn. */
export async function createDelegation(world: World): Promise<Scenario> {
  const scope = 'openid stock.read'
  const service = { grant_types: grantType, redirect_uris: '', scope: 'stock.read' }
  const portal = await createApp(world, 'Portal', { scope, allowed_resources: orders })
  const ordersApi = await createApp(world, 'Orders', {
    ...service,
    served_resources: orders,
    allowed_resources: stock,
  })
  const stockApi = await createApp(world, 'Stock', { ...service, served_resources: stock })
  return withGuest(async (_, guest) => {
    const browser = await arrive(world, guest)
    const family = createFamily(guest, portal, scope)
    const path = authorizationPath(portal, scope, { resource: orders })
    const code = await approve(world, guest, { browser, family, path })
    const { access } = await redeem(world, family, code)
    await exchange(world, { by: ordersApi, token: access, family })
    await exchangeInVain(world, { by: stockApi, token: access }, 'not_entitled')
    await exchangeInVain(world, { by: stockApi, token: 'made-up' }, 'invalid')
    await exchangeInVain(world, { by: ordersApi, token: access, scope: 'openid' }, 'refused')
    await takeBack(world, guest, browser)
    await exchangeInVain(world, { by: ordersApi, token: access }, 'invalid')
    await signOut(world, guest, browser)
  })
}

interface Request {
  readonly by: App
  readonly token: string
  readonly scope?: string
}

const ask = (world: World, { by, token, scope }: Request) =>
  postToken(
    world,
    by,
    {
      grant_type: grantType,
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      ...(scope !== undefined && { scope }),
    },
    'basic',
  )

async function exchange(world: World, request: Request & { readonly family: Family }) {
  const answer = await ask(world, request)
  expectThat(answer.status === 200, `exchanging a token answered ${answer.status}: ${answer.text}`)
  authenticated(world, 'basic', 'success')
  did(world, 'authgate_token_exchanges_total', { result: 'success' })
  did(world, 'oauth_tokens_issued_total', { token_type: 'access', grant_type: grantType })
  did(world, 'oauth_token_generation_duration_seconds_count')
  // It ends with the family it came from.
  request.family.access += 1
}

async function exchangeInVain(
  world: World,
  request: Request,
  result: 'invalid' | 'not_entitled' | 'refused',
) {
  const error = result === 'refused' ? 'invalid_scope' : 'invalid_request'
  expectError(await ask(world, request), 400, error)
  authenticated(world, 'basic', 'success')
  did(world, 'authgate_token_exchanges_total', { result })
  protocolError(world, '/oauth/token', error, 'token_exchange')
}
