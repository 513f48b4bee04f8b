import { expect, it } from 'vitest'
import { apiProofOf } from '#/domain/external-api/prove.ts'

it.each(['simple', 'hmac'] as const)('never proves anything (%s) with an empty secret', (mode) => {
  const header = 'x-api-key'
  expect(() => apiProofOf({ mode, header, secret: undefined })).toThrow(mode)
  expect(() => apiProofOf({ mode, header, secret: '' })).toThrow(mode)
  expect(apiProofOf({ mode, header, secret: 's' })).toEqual({ mode, header, secret: 's' })
})
