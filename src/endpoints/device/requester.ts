/** Names the program that requested a code, in our own words: its user agent could be worded to reassure. */
import { nameBrowser } from '#/domain/sessions/browser.ts'

const programs: readonly [RegExp, string][] = [
  [/^Go-http-client\//, 'A Go program'],
  [/\b(python|aiohttp|httpx)\b/i, 'A Python program'],
  [/^(node|undici|axios|got|node-fetch)\b/i, 'A Node.js program'],
  [/^(okhttp|Java|Apache-HttpClient)\b/, 'A Java program'],
  [/^(reqwest|hyper)\//, 'A Rust program'],
  [/^Wget\//, 'Wget'],
]

export function nameRequester(userAgent: string): string {
  const text = userAgent.slice(0, 512)
  const program = programs.find(([pattern]) => pattern.test(text))?.[1]
  const { browser, platform } = nameBrowser(text)
  const name = program ?? (browser.startsWith('Unknown') ? 'An unknown program' : browser)
  return platform.startsWith('unknown') ? name : `${name} on ${platform}`
}
