/** Migrates once what every test file then clones: a dump of an embedded database, or a template on a real Postgres. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { drizzle } from 'drizzle-orm/pglite'
import postgres from 'postgres'
import type { TestProject } from 'vitest/node'
import { parseConnectionString } from '#/database/connection-string.ts'
import { driverOptions } from '#/database/driver-options.ts'
import { startLateIndexes } from '#/database/late-indexes.ts'
import { migrateEmbedded, migratePostgres } from '#/database/migrate.ts'
import { schema } from '#/database/schema.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the embedded dump, or name of the template database. */
    databaseTemplate: string
  }
}

const nothing = async () => {}

export default async function setup(project: TestProject) {
  const server = process.env['TEST_DATABASE_URL']
  return server === undefined ? setupEmbedded(project) : setupPostgres(project, server)
}

async function setupEmbedded(project: TestProject) {
  const directory = mkdtempSync(join(tmpdir(), 'authgate-template-'))
  const client = await PGlite.create()
  await migrateEmbedded(drizzle(client, { schema }), nothing)
  const dump = await client.dumpDataDir('none')
  await client.close()
  const file = join(directory, 'template.tar')
  writeFileSync(file, Buffer.from(await dump.arrayBuffer()))
  project.provide('databaseTemplate', file)
  return () => rmSync(directory, { recursive: true, force: true })
}

async function setupPostgres(project: TestProject, server: string) {
  const template = `authgate_template_${crypto.randomUUID().slice(0, 8)}`
  await administer(server, `create database ${template}`)
  const options = driverOptions(
    parseConnectionString(withDatabase(server, template), 'TEST_DATABASE_URL'),
  )
  await migratePostgres(options, nothing)
  await startLateIndexes(options, { info: () => {}, error: console.error }).built
  project.provide('databaseTemplate', template)
  return () => administer(server, `drop database ${template} with (force)`)
}

/** Runs one statement on the server itself. */
export async function administer(server: string, statement: string): Promise<void> {
  const client = postgres(server, { max: 1, onnotice: nothing })
  try {
    await client.unsafe(statement)
  } finally {
    await client.end()
  }
}

export function withDatabase(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
