import { describe, expect, it } from 'vitest'
import { subjectOf } from '#/domain/clients/subject.ts'

const keys = { subjectKey: new Uint8Array(32).fill(7) }
const userId = '7d9f4c54-1f9f-4a52-9a3c-7f4f0a3d6e11'
const client = {
  clientId: 'one',
  subjectType: 'pairwise' as const,
  sectorIdentifierUri: null,
  redirectUris: ['https://app.example.test/callback'],
}

describe('subjectOf', () => {
  it('is the user for clients that share a subject', () => {
    expect(subjectOf({ ...client, subjectType: 'public' }, userId, keys)).toBe(userId)
  })

  it('is the same for all clients of one sector, and for ever', () => {
    const other = { ...client, clientId: 'two', redirectUris: ['https://app.example.test/other'] }
    const named = {
      ...client,
      redirectUris: ['https://elsewhere.example/cb'],
      sectorIdentifierUri: 'https://app.example.test/sector.json',
    }
    const subject = subjectOf(client, userId, keys)
    expect(subject).toMatch(/^[\w-]{43}$/)
    expect(subjectOf(other, userId, keys)).toBe(subject)
    expect(subjectOf(named, userId, keys)).toBe(subject)
  })

  it('differs between sectors, users and installations', () => {
    const subjects = [
      subjectOf(client, userId, keys),
      subjectOf({ ...client, redirectUris: ['https://two.example/cb'] }, userId, keys),
      subjectOf(client, userId.replace('7d', '8d'), keys),
      subjectOf(client, userId, { subjectKey: new Uint8Array(32).fill(8) }),
      subjectOf({ ...client, redirectUris: ['com.example.app:/cb'] }, userId, keys),
      subjectOf({ ...client, redirectUris: [] }, userId, keys),
    ]
    // A native app without a host is its own sector.
    expect(new Set(subjects).size).toBe(5)
    expect(subjects[4]).toBe(subjects[5])
  })
})
