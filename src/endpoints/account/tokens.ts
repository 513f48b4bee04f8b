/** /account/tokens: the apps that hold live tokens. */
import { listTokenFamilies } from '#/domain/tokens/list-grants.ts'
import type { AppContext } from '#/web/context.ts'
import { signedInUser } from '#/web/current-user.ts'
import { describeScopes } from '#/web/scope-words.ts'
import { viewer } from '#/web/viewer.ts'
import { renderTokensPage } from './pages.ts'
import type { AccountOptions } from './routes.ts'

export async function getTokens(c: AppContext, { db, csrf }: AccountOptions) {
  const families = await listTokenFamilies(db, signedInUser(c).user.id, c.var.now)
  const page = await renderTokensPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    grants: families.map(({ scope, ...family }) => ({ ...family, scopes: describeScopes(scope) })),
  })
  return c.html(page)
}
