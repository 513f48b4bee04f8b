import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('..', import.meta.url))

const project = (name: string, options: Record<string, unknown> = {}) => ({
  root,
  test: { name, include: [`test/${name}/**/*.test.ts`], ...options },
})

const database = {
  globalSetup: ['test/support/database-template.ts'],
  testTimeout: 30_000,
  hookTimeout: 60_000,
}

export default defineConfig({
  test: {
    // A database and a process cost memory; more workers than cores only slow each other down.
    maxWorkers: 2,
    projects: [
      project('unit'),
      project('house'),
      project('domain', database),
      project('endpoints', database),
      project('system', { testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false }),
    ],
  },
})
