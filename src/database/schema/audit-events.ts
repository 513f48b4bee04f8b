import { sql } from 'drizzle-orm'
import { bigint, boolean, index, jsonb, pgTable, text, timestamp } from 'drizzle-orm/pg-core'

/** What happened, to whom, by whom. No foreign keys: an event outlives what it speaks of. */
export const auditEvents = pgTable(
  'audit_events',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    at: timestamp({ withTimezone: true }).notNull(),
    type: text().notNull(),
    severity: text({ enum: ['info', 'warning', 'critical'] }).notNull(),
    success: boolean().notNull(),
    actorUserId: text('actor_user_id'),
    actorName: text('actor_name'),
    clientId: text('client_id'),
    resourceType: text('resource_type'),
    resourceId: text('resource_id'),
    ip: text(),
    userAgent: text('user_agent'),
    traceId: text('trace_id'),
    details: jsonb().$type<Record<string, string | number | boolean>>().notNull().default({}),
  },
  (t) => [
    index('audit_events_at').on(t.at),
    index('audit_events_actor').on(t.actorUserId, t.at),
    index('audit_events_type').on(t.type, t.at),
    // Built after the migrations: see late-indexes.ts.
    index('audit_events_client').on(t.clientId, t.at).where(sql`${t.clientId} is not null`),
    index('audit_events_failed').on(t.at).where(sql`not ${t.success}`),
    index('audit_events_ip').on(t.ip, t.at).where(sql`${t.ip} is not null`),
    index('audit_events_notable').on(t.severity, t.at).where(sql`${t.severity} <> 'info'`),
    index('audit_events_resource').on(t.resourceId, t.at).where(sql`${t.resourceId} is not null`),
  ],
)
