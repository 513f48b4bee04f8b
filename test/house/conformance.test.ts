/** What docs/CONFORMANCE.md claims, it also proves: a test for each specification (links.test.ts sees that they exist), settings that there are. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const read = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), 'utf8')
const page = read('CONFORMANCE.md')

const rows = [...page.matchAll(/^\| (.+) \|$/gm)].map(([, row = '']) =>
  row.split(' | ').map((cell) => cell.trim()),
)
const claims = rows.filter(([name = '']) => /^RFC \d|\d\.\d$|Mode$/.test(name))

describe('docs/CONFORMANCE.md', () => {
  it('has a row for every specification that it is about', () => {
    expect(claims.map(([name = '']) => name.match(/\d{4}/g)?.join(' ') ?? name)).toEqual([
      ...['6749', '6750', '7009', '7515 7517 7518 7519', '7521 7523', '7591 7592', '7636', '7662'],
      ...['8252', '8414', '8628', '8693', '8707'],
      ...['9068', '9101', '9126', '9207', '9449', '9700', '9701'],
      'Core 1.0',
      'Discovery 1.0',
      'Dynamic Client Registration 1.0',
      'Multiple Response Types, Form Post Response Mode',
      'RP-Initiated Logout 1.0',
      'Back-Channel Logout 1.0',
    ])
  })

  it.each(claims)('proves %s by a test', (_, supported, proof) => {
    expect(supported).not.toBe('')
    expect(proof).toMatch(/\]\(\.\.\/test\/[a-z/-]+\.test\.ts\)/)
  })

  it('names no setting that there is not', () => {
    const settings = read('CONFIGURATION.md')
    const named = [...page.matchAll(/\b[A-Z]+(?:_[A-Z]+)+\b/g)].map(([name]) => name)
    const unknown = named.filter((name) => !settings.includes(`\`${name}\``))
    expect(new Set(unknown)).toEqual(new Set(['NODE_EXTRA_CA_CERTS']))
  })
})
