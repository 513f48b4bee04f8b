/**
 * Whether this build may run on a database that a newer one has migrated: during a rollout, when an old replica is started
 * again, and after a rollback. The database itself remembers the oldest build that its schema still serves.
 */
import { readFileSync } from 'node:fs'
import { isDenied } from './errors.ts'

/**
 * The last migration that the oldest builds know which can work on our schema. Migrations add first and remove a release
 * later; whichever removes, renames or tightens something raises this to the last one before the builds that use it.
 */
export const oldestCompatible = '0003_people_more'

/** Runs one statement and answers its rows; the drivers differ in how. */
export type RunStatement = (statement: string) => Promise<readonly Record<string, unknown>[]>

const journal: { entries: { tag: string; when: number }[] } = JSON.parse(
  readFileSync(new URL('../../drizzle/meta/_journal.json', import.meta.url), 'utf8'),
)

export interface BuildSchema {
  /** When the newest migration of a build was made: how Drizzle orders them. */
  readonly newest: number
  readonly oldestCompatible: number
}

/** What this build knows. */
export const thisBuild: BuildSchema = {
  newest: Math.max(...journal.entries.map(({ when }) => when)),
  oldestCompatible: journal.entries.find(({ tag }) => tag === oldestCompatible)?.when ?? 0,
}

const table = 'drizzle.__drizzle_migrations'

/** `newer` is a schema that we did not make but can work on, and must leave alone; one that we cannot work on throws. */
export async function checkSchema(
  run: RunStatement,
  known: BuildSchema = thisBuild,
): Promise<'ours' | 'newer'> {
  if (!(await exists(run))) return 'ours'
  const newer = await run(`select 1 from ${table} where created_at > ${known.newest}`)
  if (newer.length === 0) return 'ours'
  const oldest = await readOldest(run)
  if (oldest !== undefined && oldest <= known.newest) return 'newer'
  throw new Error(
    `A newer AuthGate has migrated this database (${newer.length} ${newer.length === 1 ? 'migration' : 'migrations'} more than this build knows), and this build cannot work with it. Start the newer build, or restore the database from before the upgrade.`,
  )
}

/** Writes down which builds the schema serves: before it changes, and never less strictly than before. */
export async function recordOldestCompatible(
  run: RunStatement,
  known: BuildSchema = thisBuild,
): Promise<void> {
  if (!(await exists(run))) return
  const oldest = await readOldest(run)
  if (oldest !== undefined && oldest >= known.oldestCompatible) return
  try {
    await run(`comment on table ${table} is '${prefix}${known.oldestCompatible}'`)
  } catch (error) {
    // Another role owns the table. Without the comment no older build is let in, which is safe.
    if (!isDenied(error)) throw error
  }
}

const prefix = 'AuthGate: usable by builds that know the migration of '

async function exists(run: RunStatement): Promise<boolean> {
  const [row] = await run(`select to_regclass('${table}') is not null as there`)
  return row?.['there'] === true
}

async function readOldest(run: RunStatement): Promise<number | undefined> {
  const [row] = await run(`select obj_description('${table}'::regclass, 'pg_class') as text`)
  const text = row?.['text']
  return typeof text === 'string' && text.startsWith(prefix)
    ? Number(text.slice(prefix.length))
    : undefined
}
