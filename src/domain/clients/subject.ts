import type { Client } from '#/database/schema/clients.ts'
import type { KeySet } from '#/domain/keys/keys.ts'

/** The user as this client knows them (OIDC Core §8). */
export const subjectOf = (_client: Client, userId: string, _keys: KeySet): string => userId
