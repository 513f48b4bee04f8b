/** Every relative link in README and docs leads somewhere, anchors included. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]

/** As GitHub makes them: lower case, punctuation gone, spaces to hyphens. */
const anchorsOf = (markdown: string): Set<string> =>
  new Set(
    withoutCode(markdown)
      .split('\n')
      .filter((line) => /^#{1,6} /.test(line))
      .map((line) =>
        line
          .replace(/^#+ /, '')
          .replaceAll('`', '')
          .trim()
          .toLowerCase()
          .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
          .replaceAll(' ', '-'),
      ),
  )

const withoutCode = (markdown: string) => markdown.replaceAll(/```[\s\S]*?```/g, '')

const linksOf = (markdown: string): string[] =>
  [...withoutCode(markdown).matchAll(/!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|(?:src|href)="([^"]+)"/g)]
    .map(([, target, attribute]) => target ?? attribute ?? '')
    .filter((target) => !/^[a-z]+:/i.test(target))

describe('relative links', () => {
  for (const page of pages) {
    it(`of ${page} resolve`, () => {
      const markdown = readFileSync(join(root, page), 'utf8')
      const broken = linksOf(markdown).filter((target) => {
        const [path = '', anchor] = target.split('#')
        const file = path === '' ? join(root, page) : join(root, dirname(page), path)
        if (!existsSync(file)) return true
        if (anchor === undefined || statSync(file).isDirectory()) return false
        return file.endsWith('.md') && !anchorsOf(readFileSync(file, 'utf8')).has(anchor)
      })
      expect(broken).toEqual([])
    })
  }
})

/** A file or folder in backticks, from the root or from `src/`; those that are named by a pattern are none. */
const pathsOf = (markdown: string): string[] =>
  [...withoutCode(markdown).matchAll(/`((?:[\w.-]+\/)+[\w.-]*)`/g)]
    .map(([, path = '']) => path)
    .filter((path) => path.endsWith('/') || /\.(ts|css|ya?ml|json|md|sql)$/.test(path))

describe('files that are named', () => {
  for (const page of ['docs/ARCHITECTURE.md', 'docs/CONTRIBUTING.md']) {
    it(`in ${page} are there`, () => {
      const paths = pathsOf(readFileSync(join(root, page), 'utf8'))
      expect(paths.length).toBeGreaterThan(10)
      const missing = paths.filter((path) =>
        ['', 'src', 'docs', 'test'].every((start) => !existsSync(join(root, start, path))),
      )
      expect(missing).toEqual([])
    })
  }
})
