/**
 * POST /oauth/token (RFC 6749 §3.2). The endpoint authenticates the client, counts it against its limit, reads the
 * parameters (`checks.ts`) and answers errors, so that no grant can forget any of it.
 */
import { Hono } from 'hono'
import type { KeySet } from '#/domain/keys/keys.ts'
import { type LifetimePolicy, lifetimesOf } from '#/domain/tokens/lifetimes.ts'
import { consumeDpopProof } from '#/web/clients/dpop.ts'
import { judgeAgain } from '#/web/clients/judge-again.ts'
import { type ClientLimits, limitClients } from '#/web/limits/limit-clients.ts'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import {
  type CheckOptions,
  checkGrant,
  checkTarget,
  identifySender,
  type Sender,
} from './checks.ts'

export interface TokenOptions extends CheckOptions, ClientLimits {
  readonly issuer: string
  readonly keys: () => Promise<KeySet>
  readonly lifetimes: LifetimePolicy
  readonly clientTokenMs: number
  readonly refreshTokens: boolean
  readonly rotation: boolean
  readonly graceMs: number
  readonly endsWithSession: boolean
  readonly secrets: readonly string[]
}

export function tokenRoutes(options: TokenOptions): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/oauth/token', (c) => postToken(c, options))
}

const postToken = (c: AppContext, options: TokenOptions) =>
  limitClients(c, options, {
    identify: () => identifySender(c, options),
    handle: (request) => answer(c, options, request),
  })

async function answer(c: AppContext, options: TokenOptions, sender: Sender) {
  const { proof } = sender
  let proven: Promise<void> | undefined
  const consumeProof = async () => {
    if (proof) proven ??= consumeDpopProof(c, options.db, { proof, status: 400 }) // RFC 9449 §11.1
    await proven
  }
  const response = await judgeAgain(options.authentication, sender.client, (client) =>
    issue(c, options, { ...sender, client, consumeProof }),
  )
  // RFC 6749 §5.1.
  c.header('pragma', 'no-cache')
  return c.json(response)
}

async function issue(
  c: AppContext,
  options: TokenOptions,
  { consumeProof, ...sender }: Sender & { readonly consumeProof: () => Promise<void> },
) {
  const { client, proof } = sender
  const { recorder, origin, now } = c.var
  const { grant, parameters } = checkGrant(c, sender, options)
  const context = {
    ...options,
    keys: await options.keys(),
    client,
    recorder,
    origin,
    now,
    lifetimes: lifetimesOf(client.tokenProfile, options.lifetimes),
    refreshTokens: options.refreshTokens && client.grantTypes.includes('refresh_token'),
    dpopJkt: proof?.jkt ?? null,
    ...checkTarget(sender, options),
  }
  await consumeProof()
  return grant.issue(context, parameters)
}
