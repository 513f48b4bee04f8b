/** What the rack finds at the end, on books with a mistake in them: a check that finds nothing proves nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { begin, end, missing, openBooks, wrongsOf } from './torture/books.ts'
import { compareCounters, findSecrets } from './torture/checks.ts'
import { createDice } from './torture/dice.ts'
import type { Replica } from './torture/replicas.ts'
import type { World } from './torture/world.ts'

const found = (books: ReturnType<typeof openBooks>) =>
  Object.fromEntries([...wrongsOf(books)].filter(([, times]) => times > 0))

test('a secret is found in a log, plain and percent-encoded, and is not told again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'authgate-log-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const logFile = join(directory, 'log')
  const books = openBooks()
  books.secrets.add('Fe26.2**0123456789abcdef')
  books.secrets.add('a-token-of-32-characters-or-more')
  writeFileSync(
    logFile,
    [
      '{"path":"/callback?code=a-token-of-32-characters-or-more&state=1"}',
      '{"cookie":"Fe26.2%2A%2A0123456789abcdef"}',
      '{"trace_id":"0123456789abcdef0123456789abcdef"}',
    ].join('\n'),
  )
  expect(await findSecrets(books, [{ logFile } as Replica])).toBe(3)
  expect(found(books)).toEqual({ 'secrets in logs': 2 })
  expect(JSON.stringify(books.findings)).not.toContain('a-token-of-32')
})

test('a counter may show less than the rows by what was never answered, and never more', async () => {
  const rows = 10
  const compare = async (counted: number, unanswered: number) => {
    const books = openBooks()
    books.unsure.set('/oauth/token', unanswered)
    const sql = async () => [{ rows: String(rows), tails: '0' }]
    const counters = new Map([['sessions.created', counted]])
    const lives = new Map([['one', { heardAt: 0, counters }]])
    const compared = await compareCounters({ books, sql } as unknown as World, {
      lives,
      replicas: [],
    })
    expect(compared[0]).toMatchObject({ fact: 'sessions.created', rows, counted })
    return books.findings.some(({ text }) => text.startsWith('sessions.created'))
  }
  expect(await compare(10, 0)).toBe(false)
  expect(await compare(9, 1)).toBe(false)
  expect(await compare(9, 0)).toBe(true)
  expect(await compare(11, 5)).toBe(true)
})

test('what is gone is lost, unless somebody ended it or may have', () => {
  const books = openBooks()
  const [kept, ended, unsure] = ['kept', 'ended', 'unsure'].map((name) =>
    begin('session', name, 'signed in'),
  )
  if (!kept || !ended || !unsure) throw new Error('three were begun')
  end(ended, 'signed out')
  unsure.state = 'unsure'
  for (const thing of [kept, ended, unsure]) missing(books, thing, 'a page led to the sign-in')
  expect(found(books)).toEqual({ lost: 1 })
  expect(books.findings[0]?.text).toContain('session of kept')
})

test('the same seed throws the same dice, whoever else throws', () => {
  const throws = (seed: string) => {
    const dice = createDice(seed)
    const derived = dice.derive('person-1')
    dice.next()
    return Array.from({ length: 5 }, () => derived.between(0, 100))
  }
  expect(throws('1')).toEqual(throws('1'))
  expect(throws('1')).not.toEqual(throws('2'))
})
