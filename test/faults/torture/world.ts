/** Who takes part: people with cheap passwords, so that signing in costs the machine little, and clients of every kind. */
import { setTimeout as sleep } from 'node:timers/promises'
import { hash } from '@node-rs/argon2'
import { drizzle } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import { schema } from '#/database/schema.ts'
import { deviceCodeGrantType, tokenExchangeGrantType } from '#/protocol/grant-types.ts'
import { randomSecret } from '#/protocol/secrets.ts'
import { addClient, addUser } from '../../support/people.ts'
import type { Books, Thing } from './books.ts'
import type { Dice } from './dice.ts'
import type { Transport } from './transport.ts'

export interface App {
  readonly clientId: string
  readonly secret: string | undefined
  readonly redirectUri: string
}

export interface Session extends Thing {
  readonly cookies: Map<string, string>
}

export interface Family extends Thing {
  readonly app: App
  access: string
  refresh: string
}

export interface Person {
  readonly id: string
  readonly username: string
  password: string
  sessions: Session[]
  families: Family[]
  readonly consents: Map<App, Thing>
  /** Sign-ins that were acknowledged, and those that may have started a session nobody was told of. */
  readonly signIns: { acknowledged: number; unsure: number }
  readonly dice: Dice
}

export const orders = 'https://orders.example.test/api'

export interface World {
  readonly books: Books
  readonly transport: Transport
  readonly people: readonly Person[]
  /** Public, so that people are asked each time. */
  readonly cli: App
  /** Confidential: remembered consents, pushed requests. */
  readonly shop: App
  /** Confidential; its tokens are for an API that exchanges them. */
  readonly portal: App
  readonly ordersApi: App
  readonly job: App
  readonly device: App
  /** SQL of our own, tried until the database takes it. */
  sql(statement: string, parameters?: (string | string[])[]): Promise<Record<string, unknown>[]>
  stopping: boolean
}

const redirectUri = 'https://app.example.test/callback'
const scope = 'openid profile email offline_access'

/** On a database that a replica has migrated. */
export async function createWorld(
  { books, transport, dice }: Pick<World, 'books' | 'transport'> & { readonly dice: Dice },
  { databaseUrl, crowd }: { readonly databaseUrl: string; readonly crowd: number },
): Promise<World> {
  const client = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  const db = drizzle(client, { schema })
  const app = async (more: Parameters<typeof addClient>[1] = {}): Promise<App> => {
    const { client: row, secret } = await addClient(db, more)
    if (secret !== undefined) books.secrets.add(secret)
    return { clientId: row.clientId, secret, redirectUri }
  }
  const confidential = { type: 'confidential' as const }
  try {
    return {
      books,
      transport,
      people: await createPeople(db, { books, dice, crowd }),
      cli: await app(),
      shop: await app(confidential),
      portal: await app({ ...confidential, allowedResources: [orders] }),
      ordersApi: await app({
        ...confidential,
        grantTypes: [tokenExchangeGrantType],
        redirectUris: [],
        servedResources: [orders],
        scope,
      }),
      job: await app({ ...confidential, grantTypes: ['client_credentials'], redirectUris: [] }),
      device: await app({ grantTypes: [deviceCodeGrantType, 'refresh_token'], redirectUris: [] }),
      sql: (statement, parameters = []) => insist(databaseUrl, statement, parameters),
      stopping: false,
    }
  } finally {
    await client.end()
  }
}

async function createPeople(
  db: Parameters<typeof addUser>[0],
  { books, dice, crowd }: { books: Books; dice: Dice; crowd: number },
): Promise<Person[]> {
  const people: Person[] = []
  for (let n = 1; n <= crowd; n += 1) {
    const password = randomSecret()
    // What a hash costs stands in the hash.
    const passwordHash = await hash(password, { memoryCost: 8, timeCost: 1, parallelism: 1 })
    const { id, username } = await addUser(db, { username: `person-${n}`, passwordHash })
    books.secrets.add(password)
    people.push({
      id,
      username,
      password,
      sessions: [],
      families: [],
      consents: new Map(),
      signIns: { acknowledged: 0, unsure: 0 },
      dice: dice.derive(username),
    })
  }
  return people
}

async function insist(url: string, statement: string, parameters: (string | string[])[]) {
  for (const deadline = performance.now() + 180_000; ; ) {
    const client = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 10 })
    try {
      return [...(await client.unsafe(statement, parameters))]
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(500)
    } finally {
      await client.end({ timeout: 0 })
    }
  }
}
