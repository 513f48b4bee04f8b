import { expect, it } from 'vitest'
import { reservedUsernames, reserveUsernames } from '#/protocol/reserved-usernames.ts'

it.each(['admin', 'no-reply', 'No.Reply', 'postmaster@example.org', 'mailer-daemon', 'auth_gate'])(
  'keeps %s for operators',
  (username) => {
    expect(reserveUsernames(reservedUsernames)(username)).toBe(true)
  },
)

it.each(['ada', 'adminton', 'rooty', 'ada.support', '@admin'])(
  'leaves %s to people',
  (username) => {
    expect(reserveUsernames(reservedUsernames)(username)).toBe(false)
  },
)

it('keeps the names that it is given, and no others', () => {
  const isReserved = reserveUsernames(['Front-Desk'])
  expect(['frontdesk', 'front_desk', 'admin'].map(isReserved)).toEqual([true, true, false])
})
