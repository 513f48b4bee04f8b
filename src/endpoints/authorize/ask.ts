/** The pages on which a user decides; each leads back here. */
import { accessDurationOf } from '#/domain/tokens/lifetimes.ts'
import { consentScope } from '#/protocol/claims.ts'
import { destinationOf, redirectSource } from '#/protocol/redirect-uri.ts'
import { scopeWords } from '#/protocol/scopes.ts'
import { outdated } from '#/web/guards/csrf.ts'
import { brandingOf } from '#/web/pages/client-branding.ts'
import { noticeOf } from '#/web/pages/notices.ts'
import { describeScopes } from '#/web/pages/scope-descriptions.ts'
import type { AppContext } from '#/web/request/context.ts'
import { changePasswordPath, signedInUser } from '#/web/sessions/current-user.ts'
import type { AuthorizeOptions } from './options.ts'
import { renderAccountPage, renderConsentPage } from './pages.ts'
import { keep, loginPathOf, type PendingRequest, pathOf } from './pending.ts'

export async function askToSignIn(
  c: AppContext,
  pending: PendingRequest,
  { db }: AuthorizeOptions,
  more: Readonly<Record<string, string>> = {},
) {
  return c.redirect(loginPathOf(await keep(pending, db, c.var.now), more), 303)
}

export async function askForPassword(
  c: AppContext,
  pending: PendingRequest,
  { db }: AuthorizeOptions,
) {
  return c.redirect(changePasswordPath(pathOf(await keep(pending, db, c.var.now))), 303)
}

export async function askForAccount(
  c: AppContext,
  pending: PendingRequest,
  options: AuthorizeOptions,
) {
  const common = await prepare(c, pending, options)
  return c.html(await renderAccountPage(common))
}

export async function askForConsent(
  c: AppContext,
  pending: PendingRequest,
  alreadyGranted: string,
  options: AuthorizeOptions,
) {
  const { client, request } = pending
  const page = await renderConsentPage({
    ...(await prepare(c, pending, options)),
    client: { ...brandingOf(c, client), redirectHost: destinationOf(request.redirectUri) },
    scopes: describeScopes(consentScope(request)),
    resources: request.resources,
    lasting: accessDurationOf(client, { scope: request.scope, hasSession: true }, options.lasting),
    alreadyGranted: scopeWords(alreadyGranted),
  })
  return c.html(page)
}

async function prepare(c: AppContext, pending: PendingRequest, { db, csrf }: AuthorizeOptions) {
  const requestId = await keep(pending, db, c.var.now)
  const { client, request } = pending
  c.set('formActions', [redirectSource(request.redirectUri)])
  return {
    csrfToken: csrf.token(c),
    notice: noticeOf(c, { outdated }),
    requestId,
    client: { name: client.name },
    user: { username: signedInUser(c).user.username },
    switchAccountHref: loginPathOf(requestId, { switch: '1' }),
  }
}
