/** What the list of tokens is asked for. A wrong value is refused: the answer would look like more than it is. */
import { z } from 'zod'
import type { Database } from '#/database/client.ts'
import type { LiveTokenCursor, LiveTokenFilter } from '#/domain/tokens/list-live-tokens.ts'
import { isUuid } from '#/protocol/ids.ts'
import { storedTokenTypes } from '#/protocol/vocabulary.ts'
import type { AppContext } from '#/web/request/context.ts'
import { cursorByUuid } from '../cursor.ts'
import { findAccountId } from '../find-account.ts'

const asked = z.strictObject({
  user: z.string().max(100, 'The username is too long.').optional(),
  client: z.string().refine(isUuid, 'Enter a complete client ID.').optional(),
  type: z.enum(storedTokenTypes, 'Unknown token type.').optional(),
  after: cursorByUuid.optional(),
  notice: z.string().optional(),
})

/** The filters as they were sent, so that the form shows them again. */
export type SentFilter = Readonly<Partial<Record<'user' | 'client' | 'type', string>>>

export interface TokenFilterInput {
  readonly filter: LiveTokenFilter
  readonly after: LiveTokenCursor | undefined
}

export const sentFilter = (c: AppContext): SentFilter =>
  Object.fromEntries(
    (['user', 'client', 'type'] as const).flatMap((name) => {
      const value = c.req.query(name)?.trim()
      return value ? [[name, value]] : []
    }),
  )

/** The question of a request, or what is wrong with it. */
export async function readTokenFilter(
  c: AppContext,
  db: Database,
): Promise<TokenFilterInput | { readonly problem: string }> {
  const sent = Object.entries(c.req.query()).map(([name, value]) => [name, value.trim()])
  const parsed = asked.safeParse(Object.fromEntries(sent.filter(([, value]) => value !== '')))
  if (!parsed.success) return { problem: parsed.error.issues[0]?.message ?? 'Invalid filter.' }
  const { user, client: clientId, type, after } = parsed.data
  const userId = user && (await findAccountId(db, user))
  if (user && !userId) return { problem: 'There is no user with this name.' }
  const place = after && { expiresAt: after.at, id: after.id }
  return { filter: { userId, clientId, type }, after: place }
}
