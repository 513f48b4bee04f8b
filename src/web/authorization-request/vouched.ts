import type { Client } from '#/domain/clients/clients.ts'

export interface Vouching {
  /** Whether open registration creates clients that are active immediately. */
  readonly openRegistration: boolean
}

/**
 * Whether anybody but the client vouches for its redirect URIs: an administrator who has made or approved it, or whoever
 * gave it the token to register with. An app of a user is never active without approval.
 */
export const isVouchedFor = (
  { registrationTokenHash, approvedAt }: Client,
  { openRegistration }: Vouching,
): boolean => registrationTokenHash === null || approvedAt !== null || !openRegistration
