/** Where everything is stored. */
import { z } from 'zod'
import { ConnectionStringError, parseConnectionString } from '#/database/connection-string.ts'
import { duration, positiveDuration, problem, whole } from './parsers.ts'
import { type Area, type IsWritten, type Settings, setting, type ValuesOf } from './setting.ts'

const databaseUrl = z.string().transform((text, context) => {
  try {
    parseConnectionString(text, '')
    return text
  } catch (error) {
    if (error instanceof ConnectionStringError) return problem(context, error.message)
    throw error
  }
})

const settings = {
  DATA_DIR: setting(
    z.string(),
    './data',
    'Directory of the embedded database, its generated secret and the first credentials. With the embedded database it must belong to the user that runs the server, and everything in it is made unreadable to others (not on Windows, where what it inherits decides).',
  ),
  DATABASE_URL: setting(
    databaseUrl,
    undefined,
    'A real Postgres (`postgres://…`, as libpq reads it). Unset: the embedded database in `DATA_DIR`, for one process.',
    { secret: true },
  ),
  DATABASE_DIRECT_URL: setting(
    databaseUrl,
    undefined,
    'The same database without its pooler, for migrations and LISTEN. Behind a pooler without it, changes of clients and keys reach other replicas within `CLIENT_CACHE_TTL`, at most 5 s.',
    { secret: true },
  ),
  DB_PREPARE: setting(
    z.enum(['auto', 'true', 'false'], 'write auto, true or false'),
    'auto',
    'Use named prepared statements. `auto`: unless a pooler is detected; `true`: for poolers that support them.',
  ),
  DB_START_TIMEOUT: setting(
    duration,
    '30s',
    'How long start-up waits for a database that does not answer yet.',
  ),
  DB_MAX_OPEN_CONNS: setting(
    whole(1, 1000),
    '25',
    'Maximum number of connections of one process to Postgres; one more serves the population counts and one listens.',
  ),
  DB_TIMEOUT: setting(
    positiveDuration,
    '5s',
    'How long a statement may take, including the wait for a connection and for locks; also set in Postgres. Requests that take longer are answered with 503.',
  ),
} satisfies Settings

type Values = ValuesOf<typeof settings>

const problems = ({ DATABASE_DIRECT_URL }: Partial<Values>, isWritten: IsWritten): string[] =>
  DATABASE_DIRECT_URL && !isWritten('DATABASE_URL')
    ? ['DATABASE_DIRECT_URL: needs DATABASE_URL beside it.']
    : []

const read = (v: Values) => ({
  dataDir: v.DATA_DIR,
  /** Undefined for the embedded one. */
  url: v.DATABASE_URL,
  directUrl: v.DATABASE_DIRECT_URL,
  prepareStatements: v.DB_PREPARE,
  startTimeoutMs: v.DB_START_TIMEOUT,
  poolSize: v.DB_MAX_OPEN_CONNS,
  timeoutMs: v.DB_TIMEOUT,
})

export const database = { title: 'Database', settings, problems, read } satisfies Area
