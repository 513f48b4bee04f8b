import { describe, expect, it } from 'vitest'
import { accessDurationOf, type LifetimePolicy, lifetimesOf } from '#/domain/tokens/lifetimes.ts'

const minute = 60_000
const policy: LifetimePolicy = {
  profiles: {
    short: { accessMs: 15 * minute, refreshMs: 100 * minute },
    standard: { accessMs: 60 * minute, refreshMs: 200 * minute },
    long: { accessMs: 90 * minute, refreshMs: 300 * minute },
  },
  jitterMs: 10 * minute,
  maxAccessMs: 65 * minute,
  familyMs: 1000 * minute,
}

describe('lifetimesOf', () => {
  it('gives each profile its own, none beyond the cap', () => {
    expect(lifetimesOf('short', policy, () => 0)).toEqual({
      accessMs: 15 * minute,
      refreshMs: 100 * minute,
      familyMs: 1000 * minute,
    })
    expect(lifetimesOf('long', policy).accessMs).toBe(65 * minute)
  })

  it('adds whole seconds at random to the standard profile alone, and keeps to the cap', () => {
    expect(lifetimesOf('standard', policy, () => 0).accessMs).toBe(60 * minute)
    expect(lifetimesOf('standard', policy, () => 0.25).accessMs).toBe(62.5 * minute)
    expect(lifetimesOf('standard', policy, () => 0.0017).accessMs).toBe(60 * minute + 1000)
    expect(lifetimesOf('standard', policy, () => 0.999).accessMs).toBe(65 * minute)
    expect(lifetimesOf('short', policy, () => 0.999).accessMs).toBe(15 * minute)
  })
})

describe('lastingOf', () => {
  const client = {
    tokenProfile: 'standard' as const,
    grantTypes: ['authorization_code', 'refresh_token'],
  }
  const switches = { lifetimes: policy, refreshTokens: true, endsWithSession: true }
  const online = { accessMs: 60 * minute, refreshMs: undefined, endsWithSession: true }
  const offline = { accessMs: 60 * minute, refreshMs: 1000 * minute, endsWithSession: false }

  it.each([
    ['openid', true, online],
    ['openid', false, { ...online, endsWithSession: false }],
    ['openid offline_access', true, offline],
    ['read', true, offline],
  ])('tells what the scope %s comes to, with a session: %s', (scope, hasSession, expected) => {
    expect(accessDurationOf(client, { scope, hasSession }, switches)).toEqual(expected)
  })

  it('promises nothing that client or server do not do', () => {
    const asked = { scope: 'openid offline_access', hasSession: true }
    const withoutRefresh = { ...client, grantTypes: ['authorization_code'] }
    expect(accessDurationOf(withoutRefresh, asked, switches)).toEqual(online)
    expect(accessDurationOf(client, asked, { ...switches, refreshTokens: false })).toEqual(online)
    const lasting = { ...switches, endsWithSession: false }
    expect(accessDurationOf(withoutRefresh, asked, lasting).endsWithSession).toBe(false)
  })
})
