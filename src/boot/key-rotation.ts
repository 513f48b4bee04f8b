import type { Config } from '#/config.ts'
import type { KeyRotation } from '#/domain/keys/rotate-keys.ts'

export const keyRotation = (config: Config, secrets: readonly string[]): KeyRotation => ({
  secrets,
  intervalMs: config.JWT_KEY_ROTATION_INTERVAL,
  publishAheadMs: config.JWT_KEY_PUBLISH_AHEAD,
  tokenLifetimeMs: config.JWT_EXPIRATION_MAX,
})
