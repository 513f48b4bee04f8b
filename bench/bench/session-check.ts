/** What it costs to know who is signed in: a whole page with and without, and the opening of the cookie alone. */
import { Hono } from 'hono'
import { unsealData } from 'iron-session'
import { measure } from 'mitata'
import type { AppContext, AppEnv } from '#/web/request/context.ts'
import { createCookies } from '#/web/sessions/cookies.ts'
import {
  createSessionCookies,
  ironPasswords,
  type SessionCookies,
} from '#/web/sessions/session-cookies.ts'
import { median, microseconds, printTable, ratio, say, whole } from './table.ts'
import { type Load, load, startSubject } from './targets.ts'

export async function benchSessionCheck(rounds: number, seconds: number): Promise<void> {
  say(
    `What a session check costs, on the embedded database: requests per second, median of ${rounds} rounds of ${seconds} s`,
  )
  const subject = await startSubject()
  try {
    await load(subject, subject.openPage, seconds)
    await load(subject, subject.signedInPage, seconds)
    const open: Load[] = []
    const signedIn: Load[] = []
    for (let round = 0; round < rounds; round += 1) {
      open.push(await load(subject, subject.openPage, seconds))
      signedIn.push(await load(subject, subject.signedInPage, seconds))
    }
    const row = (name: string, loads: readonly Load[]) => [
      name,
      whole(median(loads.map(({ perSecond }) => perSecond))),
      ratio(median(loads.map(({ perSecond }, n) => perSecond / (open[n]?.perSecond ?? 1)))),
      microseconds(median(loads.map(({ cpuMicroseconds }) => cpuMicroseconds))),
    ]
    printTable(
      ['', 'per second', 'of the open page', 'processor time each'],
      [
        row(`${subject.openPage.path}, nobody signed in`, open),
        row(`${subject.signedInPage.path}, session checked`, signedIn),
      ],
    )
  } finally {
    await subject.server.stop()
  }
  await benchSeal()
}

/** The seal around the session's id (iron-session), opened for the first time and from then on. */
async function benchSeal() {
  say('Opening the session cookie')
  const secrets = ['a secret of the bench and of no use anywhere else']
  const password = ironPasswords(secrets).open
  const cookies = createSessionCookies({
    secrets,
    jar: createCookies({ secure: false, path: '/' }),
  })
  const seal = await cookies.seal(crypto.randomUUID(), 3_600_000)
  const context = await contextWith(cookies, seal)
  if ((await cookies.open(context)) === undefined) throw new Error('the cookie does not open')
  const first = await measure(async () => unsealData(seal, { password }))
  const again = await measure(async () => cookies.open(context))
  printTable(
    ['', 'median', '99th percentile', 'of the first'],
    [
      ['first time', microseconds(first.p50 / 1e3), microseconds(first.p99 / 1e3), ratio(1)],
      [
        'again, remembered',
        microseconds(again.p50 / 1e3),
        microseconds(again.p99 / 1e3),
        ratio(again.p50 / first.p50),
      ],
    ],
  )
}

/** The context of a request that brings the cookie with this seal. */
async function contextWith(cookies: SessionCookies, seal: string): Promise<AppContext> {
  let context: AppContext | undefined
  const app = new Hono<AppEnv>().get('/', (c) => {
    context = c
    cookies.save(c, seal, undefined)
    return c.body(null)
  })
  const [set = ''] = (await app.request('/')).headers.getSetCookie()
  await app.request('/', { headers: { cookie: set.split(';')[0] ?? '' } })
  if (!context) throw new Error('there is no context')
  return context
}
