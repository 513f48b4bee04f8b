import type { Config } from '#/config.ts'
import type { DatabaseOptions } from '#/database/client.ts'

/** The database settings that opening it needs. */
export const databaseAddress = (config: Config) =>
  ({
    url: config.DATABASE_URL,
    directUrl: config.DATABASE_DIRECT_URL,
    prepareStatements: config.DB_PREPARE,
    startTimeoutMs: config.DB_START_TIMEOUT,
  }) satisfies Partial<DatabaseOptions>
