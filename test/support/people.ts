/** Rows that tests start from: each test makes its own user and client. */
import { hashSync } from '@node-rs/argon2'
import type { Database } from '#/database/client.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { createClient, type NewClient } from '#/domain/clients/clients.ts'
import { createUser, type NewUser } from '#/domain/users/users.ts'
import { redirectUri } from './client.ts'

export const testPassword = 'correct horse battery staple'

/** argon2id with the least cost there is: what is slow on purpose is not slow in each of some thousand sign-ins. */
const testPasswordHash = hashSync(testPassword, { memoryCost: 8, timeCost: 1, parallelism: 1 })

export async function addUser(db: Database, more: Partial<NewUser> = {}) {
  const username = more.username ?? `user-${crypto.randomUUID().slice(0, 13)}`
  const user = await createUser(
    db,
    {
      username,
      email: `${username}@example.test`,
      fullName: 'Ada Example',
      passwordHash: testPasswordHash,
      now: new Date(),
      ...more,
    },
    { origin: systemOrigin },
  )
  if (!user) throw new Error('the test user was not created')
  return { ...user, email: user.email ?? '' }
}

export const addAdmin = (db: Database) => addUser(db, { role: 'admin' })

export const addClient = (db: Database, more: Partial<NewClient> = {}) =>
  createClient(
    db,
    {
      name: 'Test app',
      type: 'public',
      status: 'active',
      redirectUris: [redirectUri],
      grantTypes: ['authorization_code', 'refresh_token'],
      scope: 'openid profile email offline_access',
      ...more,
    },
    { origin: systemOrigin, now: new Date() },
  )
