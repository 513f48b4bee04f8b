/** The driver writes to sockets that are gone, which ends the process, unless it is used as `connection.ts` does. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const source = fileURLToPath(new URL('../../src', import.meta.url))

it('of Postgres is used in one place, where a connection is never used again', () => {
  const users = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .filter((name) =>
      /(import|export) (?!type\b)[^;'"]*from 'postgres'|import\('postgres'\)/.test(
        readFileSync(`${source}/${name}`, 'utf8'),
      ),
    )
  expect(users).toEqual(['database/connection.ts'])
})
