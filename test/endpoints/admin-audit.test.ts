/** The audit log as operators search it and take it away. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditEvents } from '#/database/schema/audit-events.ts'
import { auditEventTypes } from '#/domain/audit/audit.ts'
import {
  auditEventsQuery,
  findNewestAuditEvent,
  readAuditEvents,
} from '#/domain/audit/find-events.ts'
import { exportFormats, streamFile } from '#/endpoints/admin/audit/export.ts'
import { sentenceOf } from '#/endpoints/admin/audit/sentences.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Browser, openBrowser } from '../support/browser.ts'
import { addAdmin, addUser } from '../support/people.ts'

let app: TestApp
let browser: Browser
let actor: Awaited<ReturnType<typeof addUser>>
const nasty = ['=1+1', '+1', '-1', '@x', '\tx', '\rx', 'a,b', 'a"b', 'a\nb', 'plain', '＝1']

beforeAll(async () => {
  app = await startTestApp()
  const { db } = app.database
  actor = await addUser(db)
  const { username } = await addAdmin(db)
  browser = openBrowser(app)
  await browser.signIn(username)
  // 120 events of one moment, between two milliseconds.
  await db.execute(sql`insert into audit_events (at, type, severity, success, actor_user_id, client_id, resource_id, ip)
    select '2001-02-03T04:05:06.000789Z', 'TOKEN_REFRESHED', 'info', n % 2 = 0, ${actor.id}, 'c-old', 'r-old', '198.51.100.7'
    from generate_series(1, 120) n`)
  await db.insert(auditEvents).values(
    nasty.map((userAgent) => ({
      at: new Date('2002-01-01T00:00:00Z'),
      type: 'LOGOUT',
      severity: 'info' as const,
      success: true,
      actorName: userAgent,
      clientId: 'c-nasty',
      userAgent,
      details: { said: userAgent },
    })),
  )
})
afterAll(() => app.close())

interface Answer {
  readonly events: readonly Record<string, unknown>[]
  readonly next: string | null
}

const ask = async (query: Record<string, string>): Promise<Answer> => {
  const response = await browser.get(`/admin/audit/api?${new URLSearchParams(query)}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Answer
}

describe('the pages of the audit log', () => {
  it('show each event of one moment once', async () => {
    const ids: unknown[] = []
    let after: string | null = ''
    do {
      const answer: Answer = await ask({ client: 'c-old', after })
      ids.push(...answer.events.map(({ id }) => id))
      after = answer.next
    } while (after)
    expect(ids).toHaveLength(120)
    expect(new Set(ids).size).toBe(120)
    expect(ids).toEqual(ids.toSorted((a, b) => Number(b) - Number(a)))
  })

  it('lead on in HTML with their filters', async () => {
    const first = await (await browser.get('/admin/audit?client=c-old&failures=only')).text()
    const next = /href="(\/admin\/audit\?[^"]*after=[^"]*)"/
      .exec(first)?.[1]
      ?.replaceAll('&amp;', '&')
    expect(next).toContain('client=c-old')
    const second = await (await browser.get(next ?? '')).text()
    expect(
      second.match(/<summary class="event-opener">A user had tokens refreshed\.<\/summary>/g),
    ).toHaveLength(10)
  })

  it('have a sentence for every type of event', async () => {
    const [event] = await auditEventsQuery(app.database.db, {}, { limit: 1 })
    if (!event) throw new Error('there is no event')
    const sentences = auditEventTypes.map((type) => sentenceOf({ ...event, type }))
    for (const sentence of sentences) expect(sentence).toMatch(/^[^:]+\.$/)
  })

  it('say that nothing was found', async () => {
    const page = await browser.get('/admin/audit?client=nobody')
    expect(page.status).toBe(200)
    expect(await page.text()).toContain('No events match these filters.')
  })

  it('escape what strangers sent', async () => {
    await app.database.db.insert(auditEvents).values({
      at: new Date('2003-01-01T00:00:00Z'),
      type: '<script>alert(1)</script>',
      severity: 'info',
      success: true,
      clientId: 'c-script',
      userAgent: '<script>alert(2)</script>',
    })
    const page = await (await browser.get('/admin/audit?client=c-script')).text()
    expect(page).toContain('&lt;script&gt;alert(2)')
    expect(page).not.toContain('<script>alert')
  })

  const each: [string, () => Record<string, string>][] = [
    ['type', () => ({ type: 'TOKEN_REFRESHED', to: '2001-03-01T00:00' })],
    ['severity', () => ({ severity: 'info', to: '2001-03-01T00:00' })],
    ['username', () => ({ actor: actor.username.toUpperCase(), type: 'TOKEN_REFRESHED' })],
    ['account', () => ({ actor: actor.id })],
    ['client', () => ({ client: 'c-old' })],
    ['resource', () => ({ resource: 'r-old' })],
    ['address', () => ({ ip: '198.51.100.7' })],
    ['time', () => ({ from: '2001-02-03T05:05:06+01:00', to: '2001-02-03T04:05:07' })],
    ['emptied fields', () => ({ ip: '198.51.100.7', type: '', actor: ' ' })],
  ]
  it.each(each)('are narrowed by %s', async (_, query) => {
    const { events } = await ask(query())
    expect(events).toHaveLength(50)
    for (const event of events) expect(event).toMatchObject({ client_id: 'c-old' })
  })

  it('leave nothing but failures', async () => {
    const { events } = await ask({ client: 'c-old', failures: 'only' })
    expect(events.map(({ success }) => success)).toEqual(Array(50).fill(false))
  })

  const wrong: Record<string, string>[] = [
    { type: 'NOTHING' },
    { type: 'constructor' },
    { severity: 'INFO' },
    { failures: 'yes' },
    { actor: 'nobody-of-this-name' },
    { client: 'x'.repeat(201) },
    { ip: '10.0.0.%' },
    { ip: '10.0.0' },
    { from: 'yesterday' },
    { from: '0000-01-01T00:00' },
    { from: '2026-13-01T00:00' },
    { from: '2026-02-30T00:00' },
    { from: '9999-12-31T23:59-00:01' },
    { to: '9999-12-31T23:59-00:01' },
    { from: '+275760-09-13T00:00' },
    { from: '2026-01-02T00:00', to: '2026-01-01T00:00' },
    { after: 'x' },
    { after: '2026-02-31T00:00:00.000000Z_1' },
    { after: '2026-01-01T00:00:00.000000Z_99999999999999999999' },
    { page: '2' },
    { format: 'xml' },
  ]
  it.each(wrong)('refuse %j and do not leave it out', async (query) => {
    const search = new URLSearchParams(query)
    const page = await browser.get(`/admin/audit?${search}`)
    expect(page.status).toBe(400)
    expect(await page.text()).toContain('id="filter-problem"')
    const before = await exported()
    for (const path of ['api', 'export'])
      expect((await browser.get(`/admin/audit/${path}?${search}`)).status).toBe(400)
    expect(await exported()).toBe(before)
  })

  it.each(['%', '_', "' or 1=1 --", '\\'])('take %j as it is, not as a pattern', async (client) => {
    expect((await ask({ client })).events).toEqual([])
  })
})

const exported = () => app.database.db.$count(auditEvents, eq(auditEvents.type, 'AUDIT_EXPORTED'))

describe('the counts of the audit log', () => {
  it('are by type and by severity over a time', async () => {
    const from = '2001-02-03T00:00:00Z'
    const response = await browser.get(
      `/admin/audit/api/stats?from=${from}&to=2001-02-04T00:00:00Z`,
    )
    expect(await response.json()).toMatchObject({
      by_type: { TOKEN_REFRESHED: 120 },
      by_severity: { info: 120, warning: 0, critical: 0 },
    })
  })

  it.each([
    'from=2001-01-01T00:00:00Z&to=2001-03-01T00:00:00Z',
    'from=2001-01-02T00:00:00Z&to=2001-01-01T00:00:00Z',
    'from=0000-01-01T00:00:00Z&to=0000-01-02T00:00:00Z',
    'from=9999-12-31T00:00:00Z&to=9999-12-31T23:59:00-01:00',
    'from=x',
    'days=3',
  ])('refuse %s', async (query) => {
    expect((await browser.get(`/admin/audit/api/stats?${query}`)).status).toBe(400)
  })
})

describe('the file of the audit log', () => {
  it('holds each event as it is, with formulas made harmless', async () => {
    const response = await browser.get('/admin/audit/export?client=c-nasty&format=csv')
    expect(response.headers.get('content-disposition')).toMatch(
      /filename="audit-\d{4}-\d\d-\d\d\.csv"$/,
    )
    expect(response.headers.get('cache-control')).toBe('no-store')
    const [names = [], ...rows] = parseCsv(await response.text())
    const agents = rows.map((row) => row[names.indexOf('user_agent')])
    const safe = nasty.map((text) => (/^[=+\-@\t\r＝]/.test(text) ? `'${text}` : text))
    expect(agents).toEqual(safe.toReversed())
    const details = rows.map((row) => JSON.parse(row[names.indexOf('details')] ?? ''))
    expect(details).toEqual(nasty.toReversed().map((said) => ({ said })))
  })

  it('says the same in lines of JSON', async () => {
    const response = await browser.get('/admin/audit/export?client=c-nasty&format=json')
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    const lines = (await response.text()).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).user_agent)).toEqual(nasty.toReversed())
  })

  it('is told of in the log before it begins, with its filters', async () => {
    const before = await exported()
    const response = await browser.get('/admin/audit/export?client=c-nasty')
    expect(await exported()).toBe(before + 1)
    await response.body?.cancel()
    const { events } = await ask({ type: 'AUDIT_EXPORTED' })
    expect(events[0]?.['details']).toEqual({ client: 'c-nasty', format: 'csv' })
  })
})

describe('a file of 50 000 events', () => {
  it('is read one batch at a time, ends where it began, and each event is in it once', async () => {
    const { db } = app.database
    await db.execute(sql`insert into audit_events (at, type, severity, success, client_id)
      select '2004-01-01T00:00:00Z'::timestamptz + (n / 7) * interval '1 second', 'LOGOUT', 'info', true, 'c-many'
      from generate_series(1, 50000) n`)
    const newest = await findNewestAuditEvent(db)
    let read = 0
    let taken = 0
    async function* watched() {
      for await (const batch of readAuditEvents(
        db,
        { clientId: 'c-many' },
        { newest, batch: 1000 },
      )) {
        read += 1
        expect(batch.length).toBeLessThanOrEqual(1000)
        // Nothing is read ahead of whoever takes it.
        expect(read).toBeLessThanOrEqual(taken + 1)
        yield batch
      }
    }
    const reader = streamFile(watched(), exportFormats.json).getReader()
    await db.insert(auditEvents).values({
      at: new Date('2003-06-01T00:00:00Z'),
      type: 'LOGOUT',
      severity: 'info',
      success: true,
      clientId: 'c-many',
    })
    const ids = new Set<number>()
    let lines = 0
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      taken += 1
      for (const line of new TextDecoder().decode(value).trimEnd().split('\n')) {
        lines += 1
        ids.add(JSON.parse(line).id)
      }
    }
    expect([read, lines, ids.size]).toEqual([50, 50_000, 50_000])
  }, 60_000)

  it('stops being read when the client goes away', async () => {
    let ended = false
    async function* endless() {
      try {
        for (;;) yield await auditEventsQuery(app.database.db, {}, { limit: 1 })
      } finally {
        ended = true
      }
    }
    const reader = streamFile(endless(), exportFormats.csv).getReader()
    await reader.read()
    await reader.read()
    await reader.cancel()
    expect(ended).toBe(true)
  })

  it('breaks off visibly when the database fails on the way', async () => {
    async function* failing() {
      yield await auditEventsQuery(app.database.db, {}, { limit: 1 })
      throw new Error('the database is gone')
    }
    const answer = () => new Response(streamFile(failing(), exportFormats.csv))
    const server = createServer(getRequestListener(answer))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const response = await fetch(`http://127.0.0.1:${port}/`)
    expect(response.status).toBe(200)
    await expect(response.text()).rejects.toThrow()
    server.closeAllConnections()
    server.close()
  })
})

/** RFC 4180, read independently of how it was written. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]]
  for (const [, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? bare ?? '')
    if (end === '\r\n') rows.push([])
  }
  return rows.slice(0, -1)
}
