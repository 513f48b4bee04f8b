import type { Database } from '#/database/client.ts'
import { findUserByUsername, isUsername, normalizeUsername } from '#/domain/users/users.ts'
import { isUuid } from '#/protocol/ids.ts'

/** The id of an account, by its name or its id; an id stays good when its account is gone. */
export async function findAccountId(db: Database, text: string): Promise<string | undefined> {
  if (isUuid(text)) return text
  const username = normalizeUsername(text)
  return isUsername(username) ? (await findUserByUsername(db, username))?.id : undefined
}
