import { describe, expect, it } from 'vitest'
import { maxAgeOf } from '#/domain/authorization-requests/authorization-requests.ts'
import { type NextStep, nextStep, type Situation } from '#/endpoints/authorize/next-step.ts'
import { acrValues } from '#/protocol/authentication.ts'
import type { Prompt } from '#/protocol/prompts.ts'

const now = new Date('2026-01-01T12:00:00Z')
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000)
const askedAt = ago(60)
/** Signed in ten minutes ago, or after the request came in. */
const sessions = {
  nobody: undefined,
  old: { id: 'session', createdAt: ago(600), loginSource: 'local', authTime: null },
  fresh: { id: 'session', createdAt: ago(30), loginSource: 'local', authTime: null },
} as const
type Who = keyof typeof sessions

const step = (
  who: Who,
  interaction: Situation['request']['interaction'],
  more: Partial<Situation> & Partial<Situation['request']> = {},
) =>
  nextStep({
    request: { interaction, claims: more.claims ?? null },
    askedAt,
    session: sessions[who],
    mustChangePassword: false,
    subject: sessions[who] && 'ada',
    approved: false,
    maxAge: maxAgeOf({ interaction }, { requireAuthTime: false }),
    now,
    ...more,
  })

const nameOf = (next: NextStep) => (typeof next === 'string' ? next : next.code)

const columns = [
  ['nobody', false],
  ['old', true],
  ['old', false],
  ['fresh', true],
  ['fresh', false],
] as const

describe('the next step of a request', () => {
  // Of each prompt: nobody, then a session from before the request and one from after it, each approved before and not.
  const table: [string, string, string, string, string, string][] = [
    ['', 'sign_in', 'issue_code', 'ask_consent', 'issue_code', 'ask_consent'],
    ['none', 'login_required', 'issue_code', 'consent_required', 'issue_code', 'consent_required'],
    ['login', 'sign_in', 'sign_in_again', 'sign_in_again', 'issue_code', 'ask_consent'],
    ['consent', 'sign_in', 'ask_consent', 'ask_consent', 'ask_consent', 'ask_consent'],
    ['select_account', 'sign_in', 'choose_account', 'choose_account', 'issue_code', 'ask_consent'],
    ['login consent', 'sign_in', 'sign_in_again', 'sign_in_again', 'ask_consent', 'ask_consent'],
    [
      'login select_account',
      'sign_in',
      'sign_in_again',
      'sign_in_again',
      'issue_code',
      'ask_consent',
    ],
    [
      'consent select_account',
      'sign_in',
      'choose_account',
      'choose_account',
      'ask_consent',
      'ask_consent',
    ],
    [
      'login consent select_account',
      'sign_in',
      'sign_in_again',
      'sign_in_again',
      'ask_consent',
      'ask_consent',
    ],
  ]
  it.each(table)('with the prompt %j', (words, ...expected) => {
    const prompt = words.split(' ').filter(Boolean) as Prompt[]
    const found = columns.map(([who, approved]) => nameOf(step(who, { prompt }, { approved })))
    expect(found).toEqual(expected)
  })

  const ages: [number, string, string, string, string][] = [
    [599, 'sign_in', 'sign_in_again', 'issue_code', 'login_required'],
    [600, 'sign_in', 'issue_code', 'issue_code', 'issue_code'],
    [0, 'sign_in', 'sign_in_again', 'issue_code', 'login_required'],
    [1, 'sign_in', 'sign_in_again', 'issue_code', 'login_required'],
  ]
  it.each(ages)(
    'with max_age %d: nobody, ten minutes ago, just now, silently',
    (maxAge, ...expected) => {
      const found = (['nobody', 'old', 'fresh'] as const).map((who) =>
        nameOf(step(who, { maxAge }, { approved: true })),
      )
      const silently = nameOf(step('old', { maxAge, prompt: ['none'] }, { approved: true }))
      expect([...found, silently]).toEqual(expected)
    },
  )

  it('takes no session for a fresh one as long as the request is in the address bar alone', () => {
    const more = { askedAt: undefined, session: { ...sessions.old, createdAt: now } }
    expect(step('old', { prompt: ['login'] }, more)).toBe('sign_in_again')
    expect(step('old', { prompt: ['select_account'] }, more)).toBe('choose_account')
  })

  it('does not ask for an account again that this very session has chosen', () => {
    const chosen = (chosenSession: string) =>
      step('old', { prompt: ['select_account'], chosenSession }, { approved: true })
    expect(chosen('session')).toBe('issue_code')
    expect(chosen('another')).toBe('choose_account')
  })

  it('sends nobody back but the user that was named', () => {
    const named = (who: Who, subject: string, prompt: Prompt[] = []) =>
      nameOf(step(who, { subject, prompt }, { approved: true }))
    expect(named('old', 'ada')).toBe('issue_code')
    expect(named('old', 'bob')).toBe('sign_in_again')
    expect(named('old', 'bob', ['none'])).toBe('login_required')
    // Whoever signed in for this request was somebody else: no third try.
    expect(named('fresh', 'bob')).toBe('login_required')
    expect(named('nobody', 'bob')).toBe('sign_in')
  })

  describe('of somebody who came through a provider', () => {
    const through = (who: 'old' | 'fresh', authTime: Date | null) =>
      ({ ...sessions[who], loginSource: 'oidc', authTime }) as const
    const login = { prompt: ['login'] } as const
    const rows: [string, Situation['request']['interaction'], string, string, string, string][] = [
      ['whenever it was', {}, 'issue_code', 'issue_code', 'issue_code', 'issue_code'],
      ['prompt=login', login, 'sign_in_again', 'login_required', 'login_required', 'issue_code'],
      [
        'max_age=0',
        { maxAge: 0 },
        'sign_in_again',
        'login_required',
        'login_required',
        'issue_code',
      ],
      [
        'max_age=240',
        { maxAge: 240 },
        'sign_in_again',
        'login_required',
        'issue_code',
        'issue_code',
      ],
      [
        'max_age=239',
        { maxAge: 239 },
        'sign_in_again',
        'login_required',
        'login_required',
        'issue_code',
      ],
    ]
    it.each(rows)(
      '%s: known long, then since the request: of unknown age, asked long before, asked since',
      (_, interaction, ...expected) => {
        const all = [
          through('old', null),
          through('fresh', null),
          // Four minutes before the request: what counts is how old it was when it was asked for.
          through('fresh', ago(300)),
          through('fresh', ago(45)),
        ]
        const found = all.map((session) =>
          nameOf(step('old', interaction, { approved: true, session })),
        )
        expect(found).toEqual(expected)
      },
    )

    it('must be known where the client requires the time, however old', () => {
      const maxAge = maxAgeOf({ interaction: {} }, { requireAuthTime: true })
      const by = (session: Situation['session']) =>
        nameOf(step('old', {}, { approved: true, session, maxAge }))
      expect(by(through('old', null))).toBe('sign_in_again')
      expect(by(through('fresh', null))).toBe('login_required')
      expect(by(through('old', ago(1e8)))).toBe('issue_code')
      expect(by(sessions.old)).toBe('issue_code')
    })
  })

  it('asks for another sign-in where an essential acr is not met, and says so when that does not help', () => {
    const claims = { id_token: { acr: { essential: true, values: [...acrValues] } } }
    const by = (who: 'old' | 'fresh', loginSource: 'local' | 'github') =>
      nameOf(step(who, {}, { claims, approved: true, session: { ...sessions[who], loginSource } }))
    expect(by('old', 'local')).toBe('issue_code')
    expect(by('old', 'github')).toBe('sign_in_again')
    expect(by('fresh', 'github')).toBe('unmet_authentication_requirements')
    const voluntary = { id_token: { acr: { values: ['loa9'] } } }
    expect(step('old', {}, { claims: voluntary, approved: true })).toBe('issue_code')
  })
})
