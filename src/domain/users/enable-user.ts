import { and, eq } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { type User, users } from '#/database/schema/users.ts'
import { type By, writeAudit } from '#/domain/audit/audit.ts'
import { span } from '#/telemetry/tracing.ts'
import { whereInactiveUser } from './user-state.ts'

/** Enables an account again. What had ended stays ended. Undefined when it is enabled, or there is none. */
export function enableUser(db: Database, id: string, by: By): Promise<User | undefined> {
  return span('users.enable', () =>
    db.transaction(async (tx) => {
      const [user] = await tx
        .update(users)
        .set({ isActive: true, updatedAt: by.now })
        .where(and(eq(users.id, id), whereInactiveUser))
        .returning()
      if (!user) return undefined
      await writeAudit(tx, by.origin, {
        type: 'USER_ENABLED',
        at: by.now,
        actor: by.actor,
        resource: { type: 'user', id },
      })
      return user
    }),
  )
}
