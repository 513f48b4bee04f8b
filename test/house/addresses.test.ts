/**
 * Where BASE_URL has a path, `src/web/request/base-path.ts` puts it before our addresses: in Location and in the attributes
 * of pages. What it would not see must not be written.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const source = fileURLToPath(new URL('../../src', import.meta.url))

const knowing = ['web/request/base-path.ts', 'web/sessions/cookies.ts']

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(ts|css|js|svg)$/.test(name) && !knowing.includes(name))
  .map((name) => ({ name, text: readFileSync(`${source}/${name}`, 'utf8') }))

interface Rule {
  readonly what: string
  readonly pattern: RegExp
  /** Each must be found, or the rule finds nothing. */
  readonly examples: readonly string[]
}

const rules: readonly Rule[] = [
  {
    what: 'an address in an attribute without double quotation marks',
    pattern: /[\s`](?:href|src|action|formaction)=['/$]/,
    examples: [" href='/x'", ' src=/x', ' action=$'],
  },
  {
    what: 'an attribute that may hold addresses and is not one of those that get the path',
    pattern: /\s(?:srcset|imagesrcset|poster|ping|cite|background|manifest|data|xlink:href)="/,
    examples: [' srcset="/x 2x"', ' data="/x"'],
  },
  {
    what: 'a page that refreshes itself to an address of ours',
    pattern: /\burl=['"]?\//i,
    examples: ['content="0;url=/x"', "c.header('refresh', '0;url=/x')"],
  },
  {
    what: 'a header with an address besides Location',
    pattern: /['"](?:link|content-location|sourcemap|service-worker-allowed)['"]\s*[,:]/i,
    examples: ["c.header('link', x)", "{ 'Content-Location': x }"],
  },
  {
    what: 'a cookie that is not made where all of them get their path',
    pattern: /hono\/cookie'|['"]set-cookie['"]/i,
    examples: ["import { setCookie } from 'hono/cookie'", "c.header('Set-Cookie', x)"],
  },
  {
    what: 'an address in a stylesheet',
    pattern: /url\(\s*['"]?\/|@import/,
    examples: ['url(/x.png)', "url('/x.png')", '@import'],
  },
  {
    what: 'the path of a request as it was sent (c.req.path is the path of the route)',
    pattern:
      /new URL\(c\.req\.(?:url|raw\.url)\)\.(?:pathname|href|toString)|pathname.*=\s*new URL\(c\.req\./,
    examples: ['new URL(c.req.url).pathname', 'const { pathname } = new URL(c.req.url)'],
  },
]

describe.each(rules)('$what', ({ pattern, examples }) => {
  it('is recognised', () => {
    for (const example of examples) expect(example).toMatch(pattern)
  })

  it('is written nowhere', () => {
    const found = files.flatMap(({ name, text }) =>
      text.split('\n').flatMap((line) => (pattern.test(line) ? [`${name}: ${line.trim()}`] : [])),
    )
    expect(found).toEqual([])
  })
})

describe('a script', () => {
  it('names no address of ours', () => {
    const scripts = files.filter(({ name }) => name.endsWith('.js'))
    expect(scripts.length).toBeGreaterThan(0)
    for (const { name, text } of scripts) expect(text, name).not.toMatch(/['"`]\/\w/)
  })
})
