import type { Config } from '#/config.ts'
import type { DatabaseOptions } from '#/database/open-database.ts'

/** Where the database is and how it is spoken with, for whoever opens it. */
export const databaseAddress = (config: Config) =>
  ({
    url: config.DATABASE_URL,
    directUrl: config.DATABASE_DIRECT_URL,
    prepareStatements: config.DB_PREPARE,
    startTimeoutMs: config.DB_START_TIMEOUT,
  }) satisfies Partial<DatabaseOptions>
