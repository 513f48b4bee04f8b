/** Eight o'clock at a school: everybody signs in behind one address, within three minutes. */
import { hash } from '@node-rs/argon2'
import { vi } from 'vitest'
import { startTestApp } from './app.ts'
import { openBrowser } from './browser.ts'
import { obtainTokens, postToken } from './flow.ts'
import { addClient, addUser, testPassword } from './people.ts'

const address = '198.51.100.7'
const morningMs = 3 * 60_000
const wholeSchool = 3000
/** As many are under way at once. */
const atOnce = 30

/** How often which status was answered, and to how many people nothing went wrong. */
export interface Morning {
  readonly statuses: ReadonlyMap<number, number>
  readonly welcome: number
}

/** The clock stands still but for what three thousand people would take to come, however long this machine needs. */
export async function schoolMorning(people: number): Promise<Morning> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
  try {
    return await play(people)
  } finally {
    vi.useRealTimers()
  }
}

async function play(people: number): Promise<Morning> {
  const app = await startTestApp({ settings: { ENABLE_RATE_LIMIT: 'true' } })
  const statuses = new Map<number, number>()
  const from = {
    async request(path: string, init?: RequestInit) {
      const response = await app.request(path, { ...init, ip: address })
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
      return response
    },
  }
  const { client } = await addClient(app.database.db)
  const { clientId } = client
  // Hashing is not what is tried here.
  const passwordHash = await hash(testPassword, { memoryCost: 8, timeCost: 1, parallelism: 1 })
  let [next, welcome] = [0, 0]
  const comeIn = async (n: number) => {
    const { username } = await addUser(app.database.db, { passwordHash })
    const browser = openBrowser(from)
    // Every twentieth mistypes, and every thirtieth has an app whose refresh token has expired.
    if (n % 20 === 0) await browser.signIn(username, { password: 'mistyped' })
    if (n % 30 === 0) await refresh('expired')
    await browser.signIn(username)
    const tokens = await obtainTokens(from, browser, clientId)
    const authorization = `Bearer ${tokens.access_token}`
    const info = await from.request('/oauth/userinfo', { headers: { authorization } })
    const refreshed = await refresh(tokens.refresh_token)
    if (info.status === 200 && refreshed.status === 200) welcome += 1
  }
  const refresh = (refresh_token: string) =>
    postToken(from, { grant_type: 'refresh_token', refresh_token, client_id: clientId })
  const line = async () => {
    while (next < people) {
      next += 1
      vi.setSystemTime(Date.now() + morningMs / wholeSchool)
      await comeIn(next)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, line))
  await app.close()
  return { statuses, welcome }
}
