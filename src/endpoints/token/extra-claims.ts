/**
 * `extra_claims`: what a client that is allowed to puts into its own access tokens. It all stands under one claim, so it can
 * pass for nothing that this server says itself.
 */
import type { Client } from '#/domain/clients/clients.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { parseJson } from '#/protocol/storable.ts'

export interface ExtraClaimsPolicy {
  /** Name of the one claim. */
  readonly claim: string
  /** Characters of the whole text, number of its members, characters of each member's value as JSON. */
  readonly maxLength: number
  readonly maxKeys: number
  readonly maxValueLength: number
}

/** The claim to sign, or undefined when there is none to. Throws `invalid_request`. */
export function readExtraClaims(
  text: string | undefined,
  client: Pick<Client, 'extraClaims'>,
  policy: ExtraClaimsPolicy,
): Readonly<Record<string, unknown>> | undefined {
  if (text === undefined) return undefined
  if (!client.extraClaims) refuse('this client is not allowed to send extra_claims')
  if (text.length > policy.maxLength)
    refuse(`extra_claims is longer than ${policy.maxLength} characters`)
  const claims = parseObject(text)
  const values = Object.values(claims)
  if (values.length > policy.maxKeys) refuse(`extra_claims has more than ${policy.maxKeys} members`)
  if (values.some((value) => JSON.stringify(value).length > policy.maxValueLength))
    refuse(`a value in extra_claims is longer than ${policy.maxValueLength} characters`)
  return values.length === 0 ? undefined : { [policy.claim]: claims }
}

function parseObject(text: string): object {
  let parsed: unknown
  try {
    parsed = parseJson(text)
  } catch {
    refuse('extra_claims is not JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    refuse('extra_claims must be a JSON object')
  return parsed
}

function refuse(description: string): never {
  throw new OAuthError('invalid_request', description)
}
