import { existsSync } from 'node:fs'
import { type Config, ConfigError, parseConfig } from '#/config/config.ts'

/** The environment takes precedence over the .env file. Undefined after problems were printed. */
export function readConfig(environment: NodeJS.ProcessEnv): Config | undefined {
  if (existsSync('.env')) process.loadEnvFile('.env')
  try {
    return parseConfig(environment)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
    return undefined
  }
}
