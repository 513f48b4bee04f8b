import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, it } from 'vitest'
import { oldestCompatible, thisBuild } from '#/database/compatibility.ts'

/** What a build that does not know of it would stumble over. */
const tightening =
  /\b(drop\s+(table|column|type|schema|constraint)|rename|set\s+not\s+null|set\s+data\s+type|alter\s+type|add\s+constraint\s+\S+\s+check)\b|add\s+column(?![^;]*\bdefault\b)[^;]*\bnot\s+null/i

it('migrations after the oldest compatible one only add, so that the builds before them still run', () => {
  const files = globSync('drizzle/*.sql').sort()
  const after = files.filter((file) => basename(file, '.sql') > oldestCompatible)
  expect(files.map((file) => basename(file, '.sql'))).toContain(oldestCompatible)
  expect(thisBuild.oldestCompatible).toBeGreaterThan(0)
  for (const file of after)
    for (const statement of readFileSync(file, 'utf8').split('--> statement-breakpoint'))
      expect([file, tightening.exec(statement)?.[0]]).toEqual([file, undefined])
})
