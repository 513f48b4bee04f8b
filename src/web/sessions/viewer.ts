import type { AppContext } from '#/web/request/context.ts'
import { signedInUser } from './current-user.ts'

/** The signed-in user as pages greet them. */
export function viewer(c: AppContext): { readonly username: string; readonly isAdmin: boolean } {
  const { user } = signedInUser(c)
  return { username: user.username, isAdmin: user.role === 'admin' }
}
