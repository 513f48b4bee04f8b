/** Usernames that only administrators can assign, since they would seem to speak for the server. */

/** RFC 2142, and what else operators are called. */
export const reservedUsernames = [
  ...['admin', 'administrator', 'root', 'superuser', 'sysadmin', 'system', 'operator', 'moderator'],
  ...['staff', 'official', 'authgate', 'oauth', 'sso', 'login', 'account', 'accounts'],
  ...['support', 'help', 'helpdesk', 'contact', 'info', 'sales', 'marketing', 'billing'],
  ...['security', 'abuse', 'noc', 'privacy', 'legal'],
  ...['postmaster', 'hostmaster', 'webmaster', 'mailerdaemon', 'noreply', 'donotreply'],
  ...['anonymous', 'nobody', 'guest'],
] as const

/** Whether a name is an operator's to give. */
export type IsReserved = (username: string) => boolean

/** Signs between letters make no other name, and neither does what stands behind an `@`. */
export function reserveUsernames(names: readonly string[]): IsReserved {
  const reserved = new Set(names.map(fold))
  return (username) => reserved.has(fold(username))
}

const fold = (name: string) =>
  name
    .toLowerCase()
    .replace(/@.*$/s, '')
    .replaceAll(/[^a-z0-9]/g, '')
