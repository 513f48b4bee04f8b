import { check, index, pgTable, text, timestamp, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { identitySources } from '#/protocol/vocabulary.ts'
import { oneOf } from './one-of.ts'
import { users } from './users.ts'

/** Who a user is elsewhere: signing in there is signing in here. No token of theirs is kept. */
export const identities = pgTable(
  'identities',
  {
    id: uuid().primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    source: text({ enum: identitySources }).notNull(),
    /** Whose `subject` it is; subjects of two issuers are never the same person. */
    issuer: text().notNull(),
    /** Never given to anybody else there, unlike names and addresses. */
    subject: text().notNull(),
    /** As they are called there, for people to recognise; decides nothing. */
    label: text().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
    lastUsedAt: timestamp('last_used_at', { withTimezone: true }).notNull(),
  },
  (t) => [
    uniqueIndex('identities_subject').on(t.source, t.issuer, t.subject),
    index('identities_user').on(t.userId),
    check('identities_source', oneOf(t.source, identitySources)),
  ],
)
