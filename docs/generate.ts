/** Writes the generated pages: `npm run docs`. test/house fails when they differ from what stands in the repository. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { renderConfigurationPage, renderEnvironmentSample } from './configuration-page.ts'
import { renderLimitsPage } from './limits-page.ts'
import { readUses, renderMetricsPage } from './metrics-page.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Path in the repository -> content. */
export const generatedFiles = (): ReadonlyMap<string, string> =>
  new Map([
    ['docs/METRICS.md', renderMetricsPage({ uses: readUses(root) })],
    ['docs/CONFIGURATION.md', renderConfigurationPage()],
    ['docs/LIMITS.md', renderLimitsPage()],
    ['.env.example', renderEnvironmentSample()],
  ])

export const readRepositoryFile = (path: string): string => readFileSync(`${root}/${path}`, 'utf8')

if (import.meta.main) {
  for (const [path, content] of generatedFiles()) writeFileSync(`${root}/${path}`, content)
}
