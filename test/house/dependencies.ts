/** What production depends on: under which licences, and with which known weaknesses, as far as the registry answers. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Licences that let us use, change and hand on, and ask for no more than to be named. */
const allowed: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'PostgreSQL',
  'Unlicense',
])

/** Whether an SPDX expression leaves a choice that is allowed; one with brackets inside is for people to read. */
export const isAllowed = (expression: string): boolean =>
  expression
    .replace(/^\((.*)\)$/, '$1')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((licence) => allowed.has(licence)))

const lockFile = z.object({
  packages: z.record(
    z.string(),
    z.object({
      dev: z.boolean().optional(),
      devOptional: z.boolean().optional(),
      license: z.string().optional(),
    }),
  ),
})
const packageFile = z.object({ license: z.string().optional() })

interface Licensed {
  readonly name: string
  readonly licence: string
}

/** The packages of production and their licences; of those for other machines, what the lock file says. */
export function productionLicences(): Licensed[] {
  const { packages } = lockFile.parse(read('package-lock.json'))
  return Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
    .map(([path, { license }]) => {
      const file = join(path, 'package.json')
      const said = existsSync(join(root, file)) ? packageFile.parse(read(file)).license : license
      return { name: path.replace(/^.*node_modules\//, ''), licence: said ?? 'none' }
    })
}

const read = (path: string): unknown => JSON.parse(readFileSync(join(root, path), 'utf8'))

const auditReport = z.object({
  vulnerabilities: z.record(z.string(), z.object({ severity: z.string() })),
})

/** The packages with a weakness of high severity that an answer of `npm audit` names; undefined when it is no answer. */
export function severeWeaknesses(answer: string): string[] | undefined {
  const report = auditReport.safeParse(parse(answer))
  if (!report.success) return undefined
  return Object.entries(report.data.vulnerabilities)
    .filter(([, { severity }]) => severity === 'high' || severity === 'critical')
    .map(([name, { severity }]) => `${name} (${severity})`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const maxMs = 50_000

/** It ends with 1 when it found something and when it could not ask, so only what it says counts. */
async function askRegistry(): Promise<string> {
  const asked = promisify(execFile)('npm', ['audit', '--omit=dev', '--json', '--fetch-retries=0'], {
    cwd: root,
    timeout: maxMs,
    maxBuffer: 64 * 1024 * 1024,
  })
  return asked.then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout?: string }) => stdout ?? '',
  )
}

/** Tells what it found; answers whether anything of it may not be. */
async function inspect(): Promise<boolean> {
  const licences = productionLicences()
  const refused = licences.filter(({ licence }) => !isAllowed(licence))
  console.log(`licences: ${licences.length} packages, ${refused.length} not allowed`)
  for (const { name, licence } of refused) console.log(`  ${name}: ${licence}`)
  const severe = severeWeaknesses(await askRegistry())
  if (severe) console.log(`weaknesses of high severity: ${severe.join(', ') || 'none known'}`)
  else console.log('weaknesses: not known, the registry cannot be asked for them from here')
  return refused.length > 0 || (severe ?? []).length > 0
}

if (import.meta.main) process.exitCode = (await inspect()) ? 1 : 0
