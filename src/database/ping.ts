import { sql } from 'drizzle-orm'
import type { Database } from './client.ts'

/** Whether the database answers within the bound. */
export async function ping(db: Database, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false)
  })
  const answer = Promise.resolve(db.execute(sql`select 1`)).then(
    () => true,
    () => false,
  )
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
