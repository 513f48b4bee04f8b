import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '#/config/config.ts'
import { randomSecret } from '#/protocol/secrets.ts'

/** The session secrets, newest first; for the embedded database one is made at the first start and kept beside it. */
export function sessionSecrets({ sessions, database }: Config): readonly string[] {
  if (sessions.secrets) return sessions.secrets
  const { dataDir } = database
  const file = join(dataDir, 'session-secret')
  if (!existsSync(file)) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    writeFileSync(file, `${randomSecret()}\n`, { mode: 0o600, flag: 'wx' })
  }
  return [readFileSync(file, 'utf8').trim()]
}
