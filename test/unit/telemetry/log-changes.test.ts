import { expect, it } from 'vitest'
import { logChanges } from '#/telemetry/log-changes.ts'

it('tells when something begins to fail and when it works again, once each way', () => {
  const lines: [level: string, message: string, fields: Record<string, unknown>][] = []
  const write = (level: string) => (fields: unknown, message?: string) => {
    lines.push([level, message ?? '', fields as Record<string, unknown>])
  }
  const changes = logChanges(
    { info: write('info'), error: write('error') } as Parameters<typeof logChanges>[0],
    'the delivery',
  )
  changes.worked()
  expect(lines).toEqual([])
  const first = new Error('the first')
  changes.failed(first)
  changes.failed(new Error('the second'))
  changes.worked()
  changes.worked()
  expect(lines).toEqual([
    ['error', 'the delivery failed', { err: first, what: 'the delivery' }],
    ['info', 'the delivery recovered', { seconds: 0, what: 'the delivery' }],
  ])
  changes.failed(first)
  expect(lines).toHaveLength(3)
})
