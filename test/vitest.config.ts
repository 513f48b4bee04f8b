import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('..', import.meta.url))

const project = (name: string, options: Record<string, unknown> = {}) => ({
  root,
  test: { name, include: [`test/${name}/**/*.test.ts`], ...options },
})

/** A worker keeps the modules that it has loaded, and its databases, from one file to the next. */
const shared = { isolate: false }

const database = {
  globalSetup: ['test/support/database-template.ts'],
  testTimeout: 30_000,
  hookTimeout: 60_000,
}

/** These need a browser, a Prometheus, servers to be ill-treated, or a minute of anything at all, so they run when asked for by name: `--project browser`. */
const onRequest = ['browser', 'faults', 'fuzz', 'interop', 'monitoring'].filter((name) =>
  process.argv.some((argument) => argument === name || argument === `--project=${name}`),
)
const processes = { testTimeout: 120_000, hookTimeout: 120_000 }
const slow = { ...processes, fileParallelism: false }
const special: Record<string, Record<string, unknown>> = {
  // A real browser on a busy machine may lose a picture; a fresh one gets a second try, and the summary says so.
  browser: { retry: 1, fileParallelism: true },
  // Bounds in milliseconds are missed on a busy machine; there is a second try here, too.
  faults: { testTimeout: 300_000, hookTimeout: 300_000, retry: 1, fileParallelism: true },
  // It ends by its own clock.
  fuzz: { ...database, testTimeout: 24 * 3_600_000 },
}

export default defineConfig({
  test: {
    // A database and a process cost memory; more workers than cores only slow each other down.
    maxWorkers: 2,
    projects: [
      project('unit', { ...shared, testTimeout: 20_000 }),
      project('house', { ...shared, testTimeout: 20_000 }),
      project('domain', { ...shared, ...database }),
      project('endpoints', { ...shared, ...database }),
      project('system', processes),
      project('replicas', processes),
      // A crowd whose patience has an end: it has the machine to itself, when all others are done.
      project('demo', { ...slow, sequence: { groupOrder: 1 } }),
      ...onRequest.map((name) => project(name, { ...slow, ...special[name] })),
    ],
  },
})
