/** Claims about users, and the `claims` request parameter that asks for single ones (OIDC Core §5). */
import { z } from 'zod'
import { OAuthError } from './errors.ts'
import { hasScope, mergeScopes } from './scopes.ts'
import { readJson } from './storable.ts'

/** What is said about one claim (§5.5.1); `null` asks for it as voluntary. */
interface ClaimRequest {
  readonly essential?: boolean | undefined
  readonly value?: unknown
  readonly values?: readonly unknown[] | undefined
}

type Requests = Readonly<Record<string, ClaimRequest | null>>

export interface ClaimsRequest {
  readonly id_token?: Requests | undefined
  readonly userinfo?: Requests | undefined
}

/** What we know about users, and the scope that tells it (§5.4). */
const scopeOfClaim = {
  name: 'profile',
  preferred_username: 'profile',
  updated_at: 'profile',
  email: 'email',
  email_verified: 'email',
} as const
export type UserClaim = keyof typeof scopeOfClaim

export const userClaims = Object.keys(scopeOfClaim) as readonly UserClaim[]

const requests = z
  .record(
    z.string(),
    z.nullable(
      z.object({
        essential: z.boolean().optional(),
        value: z.unknown().optional(),
        values: z.array(z.unknown()).optional(),
      }),
    ),
  )
  .nullish()
const claimsRequest = z.object({ id_token: requests, userinfo: requests })

/**
 * What we can answer of a `claims` parameter: claims that we do not know, or that are beyond what the client is
 * registered for, are left out (§5.5). Throws `invalid_request` for what is no such parameter.
 */
export function parseClaimsRequest(text: string, clientScope: string): ClaimsRequest {
  const parsed = claimsRequest.safeParse(readJson(text))
  if (!parsed.success) throw new OAuthError('invalid_request', 'the claims parameter is malformed')
  const { id_token: idToken, userinfo } = parsed.data
  const isOurs = (name: string) =>
    Object.hasOwn(scopeOfClaim, name) && hasScope(clientScope, scopeOfClaim[name as UserClaim])
  return {
    ...(idToken && { id_token: pick(idToken, (name) => isOurs(name) || ofSignIn.has(name)) }),
    ...(userinfo && { userinfo: pick(userinfo, isOurs) }),
  }
}

/** Claims about the sign-in that can be asked for with a value (§5.5.1, §5.5.1.1). */
const ofSignIn = new Set(['sub', 'acr'])

const pick = (asked: Requests, isKept: (name: string) => boolean): Requests =>
  Object.fromEntries(Object.entries(asked).filter(([name]) => isKept(name)))

/** The claims that a scope tells (§5.4), and those that were asked for one by one (§5.5). */
export const selectClaims = (scope: string, asked: Requests = {}): readonly UserClaim[] =>
  userClaims.filter((name) => hasScope(scope, scopeOfClaim[name]) || Object.hasOwn(asked, name))

/** What a request is approved in: its scope, and the scopes that would tell what it asks for one by one. */
export function consentScope({ scope, claims }: { scope: string; claims: ClaimsRequest | null }) {
  const names = [claims?.id_token, claims?.userinfo].flatMap((asked) => Object.keys(asked ?? {}))
  const scopes = userClaims.filter((name) => names.includes(name)).map((name) => scopeOfClaim[name])
  return mergeScopes(scope, scopes.join(' '))
}

/** The values of an essential `acr` (§5.5.1.1); undefined when anything will do. */
export function requiredAcr(claims: ClaimsRequest | null): readonly unknown[] | undefined {
  const acr = claims?.id_token?.['acr']
  if (!acr?.essential) return undefined
  return acr.values ?? (acr.value === undefined ? undefined : [acr.value])
}
