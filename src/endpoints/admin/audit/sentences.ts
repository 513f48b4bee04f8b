/** One sentence for each type of event. */
import type { AuditEventType } from '#/domain/audit/audit.ts'
import type { FoundAuditEvent } from '#/domain/audit/find-events.ts'

const deedOf: Readonly<Record<AuditEventType, string>> = {
  AUTHENTICATION_SUCCESS: 'signed in',
  AUTHENTICATION_FAILURE: 'failed to sign in',
  LOGOUT: 'signed out',
  SESSION_REVOKED: 'ended a session',
  SESSION_ENDED: 'had a session ended',
  USER_AUTHORIZATION_GRANTED: 'allowed an app access',
  USER_AUTHORIZATION_REVOKED: 'revoked an app’s access',
  AUTHORIZATION_CODE_GENERATED: 'was issued an authorization code for an app',
  AUTHORIZATION_CODE_DENIED: 'denied an app access',
  AUTHORIZATION_CODE_EXCHANGED: 'signed in to an app, which was issued tokens',
  DEVICE_CODE_GENERATED: 'requested a device code',
  DEVICE_CODE_REFUSED: 'entered an invalid device code',
  DEVICE_CODE_AUTHORIZED: 'approved a device',
  DEVICE_CODE_DENIED: 'denied a device',
  DEVICE_CODE_EXCHANGED: 'connected a device, which was issued tokens',
  TOKEN_REFRESHED: 'had tokens refreshed',
  TOKEN_EXCHANGED: 'had a token exchanged',
  TOKEN_REVOKED: 'had tokens revoked',
  CLIENT_CREDENTIALS_TOKEN_ISSUED: 'was issued a client credentials token',
  SUSPICIOUS_ACTIVITY: 'triggered a suspicious activity warning',
  RATE_LIMIT_EXCEEDED: 'exceeded a rate limit',
  CLIENT_CREATED: 'created a client',
  CLIENT_UPDATED: 'updated a client',
  CLIENT_REGISTERED: 'registered a client',
  CLIENT_APPROVED: 'approved a client',
  CLIENT_REJECTED: 'rejected a client',
  CLIENT_DELETED: 'deleted a client',
  CLIENT_SECRET_REGENERATED: 'regenerated a client secret',
  USER_CREATED: 'created a user',
  USER_UPDATED: 'updated a user',
  USER_ENABLED: 'enabled a user',
  USER_DISABLED: 'disabled a user',
  USER_DELETED: 'deleted a user',
  USER_PASSWORD_CHANGED: 'changed a password',
  USER_PASSWORD_RESET: 'reset a password',
  USER_EMAIL_WITHDRAWN: 'verified an email address, which another user lost',
  USER_SYNCED: 'had a profile updated from an identity provider',
  IDENTITY_LINKED: 'linked an account to sign in with',
  IDENTITY_UNLINKED: 'removed a linked account',
  CLIENT_ACCESS_REVOKED: 'revoked all access of a client',
  AUDIT_EXPORTED: 'exported the audit log',
  ACCESS_DENIED: 'was denied access to an administration page',
  FORM_REFUSED: 'sent a form that was rejected',
  CLIENT_AUTHENTICATION_FAILURE: 'failed client authentication',
  TOKEN_REQUEST_REFUSED: 'was refused a token request',
  INTROSPECTION_REFUSED: 'was refused an introspection request',
  REVOCATION_REFUSED: 'was refused the revocation of another client’s token',
  REGISTRATION_REFUSED: 'used an invalid registration access token',
  METRICS_REFUSED: 'used an invalid metrics token',
  PROOF_REPLAYED: 'replayed a proof',
}

const deeds: Readonly<Record<string, string>> = deedOf

/** "ada disabled a user." A type that an older release wrote keeps its name. */
export function sentenceOf(event: FoundAuditEvent): string {
  // What was done to a client was not done by it.
  const byClient = event.clientId !== null && event.resourceType !== 'client'
  const who = event.actorName ?? (event.actorUserId ? 'A user' : byClient ? 'A client' : 'Someone')
  const deed = Object.hasOwn(deeds, event.type) ? deeds[event.type] : undefined
  const { count } = event.details
  const times = typeof count === 'number' ? ` (${count} times)` : ''
  return deed ? `${who} ${deed}${times}.` : `${who}: ${event.type}${times}`
}
