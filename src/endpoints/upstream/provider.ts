import type { Provider } from '#/domain/identity-providers/provider.ts'
import { PageError } from '#/web/pages/page-error.ts'
import type { AppContext } from '#/web/request/context.ts'

/** The provider that the path names; one that is not set up does not exist. */
export function requireProvider(
  c: AppContext,
  { providers }: { readonly providers: readonly Provider[] },
): Provider {
  const found = providers.find(({ source }) => source === c.req.param('provider'))
  if (!found) throw new PageError(404, 'Page not found', 'There is nothing at this address.')
  return found
}
