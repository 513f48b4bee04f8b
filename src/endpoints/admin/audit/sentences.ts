/** The events in plain words. */
import type { FoundAuditEvent } from '#/domain/audit/find-events.ts'

const deeds: Readonly<Record<string, string>> = {
  AUTHENTICATION_SUCCESS: 'signed in',
  AUTHENTICATION_FAILURE: 'could not sign in',
  LOGOUT: 'signed out',
  SESSION_REVOKED: 'ended a session',
  SESSION_ENDED: 'had a session that ended',
  USER_AUTHORIZATION_GRANTED: 'gave an app access',
  USER_AUTHORIZATION_REVOKED: 'took access away from an app',
  AUTHORIZATION_CODE_GENERATED: 'was sent back to an app with a code',
  AUTHORIZATION_CODE_DENIED: 'refused an app access',
  AUTHORIZATION_CODE_EXCHANGED: 'had tokens issued to an app',
  DEVICE_CODE_GENERATED: 'asked for a code to sign in a device',
  DEVICE_CODE_REFUSED: 'typed a device code that is not good',
  DEVICE_CODE_AUTHORIZED: 'let a device in',
  DEVICE_CODE_DENIED: 'refused a device',
  DEVICE_CODE_EXCHANGED: 'had tokens issued to a device',
  TOKEN_REFRESHED: 'had tokens renewed',
  TOKEN_EXCHANGED: 'had a token exchanged for another',
  TOKEN_REVOKED: 'had tokens revoked',
  CLIENT_CREDENTIALS_TOKEN_ISSUED: 'was issued a token of its own',
  SUSPICIOUS_ACTIVITY: 'did something that looks like an attack',
  RATE_LIMIT_EXCEEDED: 'asked too often and was held back',
  CLIENT_CREATED: 'created a client',
  CLIENT_UPDATED: 'changed a client',
  CLIENT_REGISTERED: 'registered a client',
  CLIENT_APPROVED: 'approved a client',
  CLIENT_REJECTED: 'rejected a client',
  CLIENT_DELETED: 'deleted a client',
  CLIENT_SECRET_REGENERATED: 'made a new secret for a client',
  USER_CREATED: 'created an account',
  USER_UPDATED: 'changed an account',
  USER_ENABLED: 'enabled an account',
  USER_DISABLED: 'disabled an account',
  USER_DELETED: 'deleted an account',
  USER_PASSWORD_CHANGED: 'changed a password',
  USER_PASSWORD_RESET: 'reset a password',
  USER_EMAIL_WITHDRAWN: 'proved that an address is theirs, which another account lost',
  USER_SYNCED: 'had an account brought up to date',
  IDENTITY_LINKED: 'linked a way to sign in',
  IDENTITY_UNLINKED: 'took a linked way to sign in away',
  CLIENT_ACCESS_REVOKED: 'ended all access of a client',
  AUDIT_EXPORTED: 'exported the audit log',
  ACCESS_DENIED: 'may not open a page of administrators, and tried',
  FORM_REFUSED: 'sent a form that was not taken',
  CLIENT_AUTHENTICATION_FAILURE: 'could not prove to be a client',
  TOKEN_REQUEST_REFUSED: 'asked for tokens and was refused',
  INTROSPECTION_REFUSED: 'asked about a token that is not its business',
  REVOCATION_REFUSED: 'asked to revoke a token that is not its own',
  REGISTRATION_REFUSED: 'had no valid token for a registration',
  METRICS_REFUSED: 'had no valid token for the metrics',
  PROOF_REPLAYED: 'showed a proof that was used before',
}

/** "ada disabled an account." A type that an older release wrote keeps its name. */
export function sentenceOf(event: FoundAuditEvent): string {
  // What was done to a client was not done by it.
  const byClient = event.clientId !== null && event.resourceType !== 'client'
  const who = event.actorName ?? (event.actorUserId ? 'A user' : byClient ? 'A client' : 'Somebody')
  const deed = Object.hasOwn(deeds, event.type) ? deeds[event.type] : undefined
  const { count } = event.details
  const times = typeof count === 'number' ? ` (${count} times)` : ''
  return deed ? `${who} ${deed}${times}.` : `${who}: ${event.type}${times}`
}
