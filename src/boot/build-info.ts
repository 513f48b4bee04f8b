/** Which build this is: the version of the package, and the commit that the image or the checkout names. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface BuildInfo {
  readonly version: string
  readonly commit: string
}

const root = fileURLToPath(new URL('../..', import.meta.url))

export function readBuildInfo(commit: string | undefined): BuildInfo {
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
    version: string
  }
  return { version, commit: commit ?? gitCommit() ?? 'unknown' }
}

/** Only of a checkout of our own: a directory above that happens to be one says nothing about this build. */
function gitCommit(): string | undefined {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', root, ...args], {
        encoding: 'utf8',
        timeout: 2000,
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim()
    return git('rev-parse', '--show-prefix') === '' ? git('rev-parse', 'HEAD') : undefined
  } catch {
    return undefined
  }
}
