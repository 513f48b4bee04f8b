import type { AppContext } from '#/web/request/context.ts'
import { signedInUser } from './current-user.ts'

/** The signed-in user as pages greet them. */
export function viewer(c: AppContext): { readonly username: string; readonly isAdmin: boolean } {
  const { user } = signedInUser(c)
  return { username: user.username, isAdmin: user.role === 'admin' }
}

/** Whether a text can be the id of a row; Postgres refuses to compare with anything else. */
export const isUuid = (text: string): boolean =>
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)

/** A row id from the path, or undefined when it cannot be one: such a row cannot exist. */
export function uuidParameter(c: AppContext, name: string): string | undefined {
  const value = c.req.param(name) ?? ''
  return isUuid(value) ? value : undefined
}
