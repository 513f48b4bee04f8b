/** Every table says how long it keeps what, and what is said is so: docs/OPERATIONS.md. */
import { getTableConfig } from 'drizzle-orm/pg-core'
import { describe, expect, it } from 'vitest'
import { schema } from '#/database/schema.ts'
import { boundedTables, strangersTables, sweeperTasks } from '#/protocol/vocabulary.ts'
import { readRepositoryFile } from '../../docs/generate.ts'

const namesIn = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)

const [, section = ''] = readRepositoryFile('docs/OPERATIONS.md').split(
  /^## Retention$([\s\S]*?)^## /m,
)
const rules = section
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, table, kept, time, setting, task, index, most]) => ({
    table: namesIn(table)[0] ?? '',
    kept: kept ?? '',
    time: time ?? '',
    settings: namesIn(setting),
    tasks: namesIn(task),
    indexes: namesIn(index),
    most: most ?? '',
  }))

const tables = Object.values(schema).map((table) => getTableConfig(table))

describe('the rules of retention', () => {
  it('speak of every table, and of no other', () => {
    expect([...new Set(rules.map(({ table }) => table))].sort()).toEqual(
      tables.map(({ name }) => name).sort(),
    )
    for (const rule of rules) expect(rule.kept && rule.time, rule.table).not.toBe('')
  })

  it('name every task of the sweeper, once', () => {
    expect(rules.flatMap(({ tasks }) => tasks).sort()).toEqual([...sweeperTasks].sort())
  })

  it('name settings that there are', () => {
    const documented = readRepositoryFile('docs/CONFIGURATION.md')
    for (const setting of rules.flatMap(({ settings, most }) => [...settings, ...namesIn(most)]))
      expect(documented).toContain(`\`${setting}\``)
  })

  it('bound every table that strangers make grow, by a setting where rows can be refused', () => {
    const bounds = (name: string) => rules.filter(({ table }) => table === name).map((r) => r.most)
    for (const name of strangersTables) expect(bounds(name).join(''), name).not.toBe('')
    for (const name of boundedTables)
      expect(bounds(name).flatMap(namesIn).length, name).toBeGreaterThan(0)
  })

  it('name an index of the table for each task but that of the few signing keys', () => {
    for (const { table, tasks, indexes } of rules) {
      const own = tables
        .find(({ name }) => name === table)
        ?.indexes.map(({ config }) => config.name)
      for (const index of indexes) expect(own, table).toContain(index)
      if (tasks.length > 0 && table !== 'signing_keys') expect(indexes, table).not.toEqual([])
    }
  })
})
