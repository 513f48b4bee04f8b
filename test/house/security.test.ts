/** What docs/SECURITY.md and docs/ASVS.md claim is all there: each requirement once, with a verdict and a file that exists. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readRepositoryFile } from '../../docs/generate.ts'

/** ASVS 5.0.0, levels 1 and 2 of the chapters that concern us: the numbers of each section. */
const sections: Readonly<Record<string, readonly number[]>> = {
  '3.2': [1, 2],
  '3.3': [1, 2, 3, 4],
  '3.4': [1, 2, 3, 4, 5, 6],
  '3.5': [1, 2, 3, 4, 5],
  '3.7': [1, 2],
  '6.1': [1, 2, 3],
  '6.2': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  '6.3': [1, 2, 3, 4],
  '6.4': [1, 2, 3, 4],
  '6.5': [1, 2, 3, 4, 5],
  '6.6': [1, 2, 3],
  '6.8': [1, 2, 3, 4],
  '7.1': [1, 2, 3],
  '7.2': [1, 2, 3, 4],
  '7.3': [1, 2],
  '7.4': [1, 2, 3, 4, 5],
  '7.5': [1, 2],
  '7.6': [1, 2],
  '8.1': [1, 2],
  '8.2': [1, 2, 3],
  '8.3': [1],
  '8.4': [1],
  '9.1': [1, 2, 3],
  '9.2': [1, 2, 3, 4],
  '10.1': [1, 2],
  '10.2': [1, 2],
  '10.3': [1, 2, 3, 4],
  '10.4': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  '10.5': [1, 2, 3, 4, 5],
  '10.6': [1, 2],
  '10.7': [1, 2, 3],
  '11.1': [1, 2],
  '11.2': [1, 2, 3],
  '11.3': [1, 2, 3],
  '11.4': [1, 2, 3, 4],
  '11.5': [1],
  '11.6': [1],
  '12.1': [1, 2, 3],
  '12.2': [1, 2],
  '12.3': [1, 2, 3, 4],
  '13.1': [1],
  '13.2': [1, 2, 3, 4, 5],
  '13.3': [1, 2],
  '13.4': [1, 2, 3, 4, 5],
  '14.1': [1, 2],
  '14.2': [1, 2, 3, 4],
  '14.3': [1, 2, 3],
  '16.1': [1],
  '16.2': [1, 2, 3, 4, 5],
  '16.3': [1, 2, 3, 4],
  '16.4': [1, 2, 3],
  '16.5': [1, 2, 3],
}
const required = Object.entries(sections).flatMap(([section, numbers]) =>
  numbers.map((number) => `${section}.${number}`),
)

const asvs = readRepositoryFile('docs/ASVS.md')
const security = readRepositoryFile('docs/SECURITY.md')

const rowsOf = (page: string) =>
  page
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(2, -2).split(' | '))

const lines = rowsOf(asvs).filter(([number = '']) => /^\d/.test(number))

/** Files of ours that a text names by a link, without anchors. */
const filesIn = (text: string) =>
  [...text.matchAll(/\]\((?!https:)([^)#\s]+)[^)]*\)/g)].map(([, target = '']) =>
    fileURLToPath(new URL(`../../docs/${target}`, import.meta.url)),
  )

describe('docs/ASVS.md', () => {
  it('has every requirement once, in order, and no other', () => {
    expect(lines.map(([number]) => number)).toEqual(required)
  })

  it.each(lines)('says of %s who asks it, what came of it, and why', (_, ...cells) => {
    const [level, asked, verdict = '', why] = cells
    expect(cells).toHaveLength(4)
    expect(level).toMatch(/^[12]$/)
    expect(verdict).toMatch(/^\*\*(met|not met|not ours)\*\*$/)
    expect(asked?.trim() && why?.trim()).toBeTruthy()
    if (verdict === '**met**') expect(why).toMatch(/\]\(/)
  })

  it('names files that there are', () => {
    expect(filesIn(asvs).filter((file) => !existsSync(file))).toEqual([])
  })
})

describe('docs/SECURITY.md', () => {
  it('holds each promise by a test that there is', () => {
    const [, promises = ''] = security.split(/^## (?=Promises)/m)
    const rows = rowsOf(promises.split(/^## /m)[0] ?? '').slice(2)
    expect(rows.length).toBeGreaterThanOrEqual(15)
    for (const [promise, tests = ''] of rows)
      expect(filesIn(tests).filter((file) => existsSync(file)).length, promise).toBeGreaterThan(0)
  })

  it('names files that there are', () => {
    expect(filesIn(security).filter((file) => !existsSync(file))).toEqual([])
  })
})
