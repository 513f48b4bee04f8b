/**
 * The audit log: what happened, written in the transaction of the change it describes, so that neither can
 * exist without the other. Details hold identifiers and words of ours; never a token, code, secret or password.
 */
import type { SQLWrapper } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { slicesOf } from '#/database/slices-of.ts'
import { insertForEach, onlyIf, rowInserter, valuesFor } from '#/database/statements/statements.ts'

const severities = {
  AUTHENTICATION_SUCCESS: 'info',
  AUTHENTICATION_FAILURE: 'warning',
  LOGOUT: 'info',
  SESSION_REVOKED: 'warning',
  SESSION_ENDED: 'info',
  USER_AUTHORIZATION_GRANTED: 'info',
  USER_AUTHORIZATION_REVOKED: 'info',
  AUTHORIZATION_CODE_GENERATED: 'info',
  AUTHORIZATION_CODE_DENIED: 'info',
  AUTHORIZATION_CODE_EXCHANGED: 'info',
  DEVICE_CODE_GENERATED: 'info',
  DEVICE_CODE_REFUSED: 'warning',
  DEVICE_CODE_AUTHORIZED: 'info',
  DEVICE_CODE_DENIED: 'info',
  DEVICE_CODE_EXCHANGED: 'info',
  TOKEN_REFRESHED: 'info',
  TOKEN_EXCHANGED: 'info',
  TOKEN_REVOKED: 'info',
  CLIENT_CREDENTIALS_TOKEN_ISSUED: 'info',
  SUSPICIOUS_ACTIVITY: 'critical',
  RATE_LIMIT_EXCEEDED: 'warning',
  CLIENT_CREATED: 'info',
  CLIENT_UPDATED: 'info',
  CLIENT_REGISTERED: 'info',
  CLIENT_APPROVED: 'info',
  CLIENT_REJECTED: 'warning',
  CLIENT_DELETED: 'warning',
  CLIENT_ACCESS_REVOKED: 'warning',
  CLIENT_SECRET_REGENERATED: 'warning',
  USER_CREATED: 'info',
  USER_UPDATED: 'warning',
  USER_SYNCED: 'info',
  USER_EMAIL_WITHDRAWN: 'warning',
  USER_ENABLED: 'info',
  USER_DISABLED: 'warning',
  USER_DELETED: 'warning',
  USER_PASSWORD_CHANGED: 'warning',
  USER_PASSWORD_RESET: 'warning',
  IDENTITY_LINKED: 'info',
  IDENTITY_UNLINKED: 'warning',
  AUDIT_EXPORTED: 'warning',
  ACCESS_DENIED: 'warning',
  FORM_REFUSED: 'warning',
  CLIENT_AUTHENTICATION_FAILURE: 'warning',
  TOKEN_REQUEST_REFUSED: 'warning',
  INTROSPECTION_REFUSED: 'warning',
  REVOCATION_REFUSED: 'warning',
  REGISTRATION_REFUSED: 'warning',
  METRICS_REFUSED: 'warning',
  PROOF_REPLAYED: 'warning',
} as const

export type AuditEventType = keyof typeof severities

/** Every type of event, as filters name them. */
export const auditEventTypes = Object.keys(severities) as AuditEventType[]

/** How much an event of the type matters. */
export const auditSeverityOf = (type: AuditEventType) => severities[type]

/** From what is usual to what somebody should look at. */
export const auditSeverities = ['info', 'warning', 'critical'] as const

/** Where a request came from. `enabled` is false when audit logging is switched off. */
export interface AuditOrigin {
  readonly enabled: boolean
  readonly ip?: string
  readonly userAgent?: string
  readonly traceId?: string
}

/** Who changes something, from where and when; without an actor it was no user of ours. */
export interface By {
  readonly actor?: { readonly id: string; readonly username: string }
  readonly origin: AuditOrigin
  readonly now: Date
}

/** The same, where a signed-in user must stand behind it. */
export type ByUser = By & Required<Pick<By, 'actor'>>

/** For what the server does by itself. */
export const systemOrigin: AuditOrigin = { enabled: true }

export interface AuditEvent {
  readonly type: AuditEventType
  readonly at: Date
  readonly success?: boolean
  readonly actor?: { readonly id: string; readonly username?: string } | undefined
  readonly clientId?: string
  readonly resource?: {
    readonly type:
      | 'user'
      | 'session'
      | 'client'
      | 'consent'
      | 'token_family'
      | 'limiter'
      | 'device_code'
    readonly id: string
  }
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

/** Writes events on the given handle; inside a transaction they stand or fall with it. */
export async function writeAudit(
  db: Database,
  origin: AuditOrigin,
  ...events: AuditEvent[]
): Promise<void> {
  if (!origin.enabled) return
  const rows = events.map((event) => auditRowOf(origin, event))
  const [row] = rows
  if (row && rows.length === 1) await insertEvent(db, row)
  else for (const some of slicesOf(rows)) await db.insert(auditEvents).values([...some])
}

const insertEvent = rowInserter(auditEvents)

/** An event as part of another, prepared statement: written for each row of `source`. */
export const auditCtes = (db: Database, source: SQLWrapper) =>
  db.$with('audited', {}).as(insertForEach(onlyIf(source, 'audit'), auditEvents, 'audited'))

/** What that statement then writes, if anything. */
export const auditParams = (origin: AuditOrigin, event: AuditEvent): Record<string, unknown> => ({
  audit: origin.enabled,
  ...valuesFor('audited', auditRowOf(origin, event)),
})

/** The row of an event. */
export const auditRowOf = (origin: AuditOrigin, event: AuditEvent) => ({
  at: event.at,
  type: event.type,
  severity: severities[event.type],
  success: event.success ?? true,
  actorUserId: event.actor?.id ?? null,
  actorName: cut(event.actor?.username) ?? null,
  clientId: cut(event.clientId) ?? null,
  resourceType: event.resource?.type ?? null,
  resourceId: cut(event.resource?.id) ?? null,
  ip: cut(origin.ip) ?? null,
  userAgent: cut(origin.userAgent) ?? null,
  traceId: origin.traceId ?? null,
  details: boundedDetails(event.details),
})

/** Strangers decide on much of it; no honest value is longer. */
const cut = (text: string | undefined, longest = 256): string | undefined =>
  // Half a character cannot be stored.
  text === undefined || text.length <= longest ? text : text.slice(0, longest).toWellFormed()

/** A scope can have as many characters. */
const maxDetail = 1000

const boundedDetails = (details: AuditEvent['details'] = {}) =>
  Object.fromEntries(
    Object.entries(details).map(([name, value]) => [
      name,
      typeof value === 'string' ? (cut(value, maxDetail) ?? '') : value,
    ]),
  )
