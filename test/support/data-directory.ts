/** The embedded database of a server that has not been started yet, migrated already: that is most of what a first start does. */
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openDatabase } from '#/database/open-database.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const cache = join(root, 'node_modules/.cache/test-data')

/** Fills a data directory that does not exist yet. */
export async function fillDataDirectory(dataDir: string): Promise<void> {
  const template = join(cache, versionOfSchema())
  if (!existsSync(template)) await createTemplate(template)
  mkdirSync(dataDir, { mode: 0o700 })
  cpSync(join(template, 'pgdata'), join(dataDir, 'pgdata'), { recursive: true })
}

/** Another worker may be faster: then its template stays. */
async function createTemplate(template: string) {
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, 'new-'))
  const database = await openDatabase({
    url: undefined,
    dataDir: directory,
    poolSize: 1,
    timeoutMs: 60_000,
    countTimeoutMs: 5000,
    onAvailability: () => {},
    record: undefined,
    prepare: async () => {},
  })
  await database.close()
  if (!existsSync(template)) renameSync(directory, template)
}

/** Of everything that decides what an empty database looks like. */
function versionOfSchema(): string {
  const files = readdirSync(join(root, 'drizzle'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(sql|json)$/.test(name))
    .sort()
    .map((name) => join('drizzle', name))
  const hash = createHash('sha256')
  for (const file of [...files, 'src/database/late-indexes.ts', 'package-lock.json'])
    hash.update(readFileSync(join(root, file)))
  return hash.digest('hex').slice(0, 16)
}
