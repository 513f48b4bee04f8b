import { regenerateAppSecret, updateApp } from '#/domain/access-revocation/edit-clients.ts'
import { deleteApp } from '#/domain/access-revocation/end-clients.ts'
import { type Client, type CreatedClient, hasSecret, versionOf } from '#/domain/clients/clients.ts'
import {
  findApp,
  listApps,
  maxPendingApps,
  type OwnApp,
  registerApp,
} from '#/domain/clients/own-apps.ts'
import { verifySector } from '#/domain/clients/sector-identifier.ts'
import { scopeWords } from '#/protocol/scopes.ts'
import { enforceLimit } from '#/web/limits/rate-limit.ts'
import { asFormError, FormError } from '#/web/pages/form-error.ts'
import { noticesOf } from '#/web/pages/notices.ts'
import { PageError } from '#/web/pages/page-error.ts'
import { outdatedForm, type RefusedForm } from '#/web/pages/refused-form.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readFields } from '#/web/request/forms.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { actedBy, signedInUser } from '#/web/sessions/current-user.ts'
import { recordEndedAccess } from '#/web/sessions/record-ended.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AppsOptions } from './options.ts'
import {
  renderAppEditPage,
  renderAppPage,
  renderAppSecretPage,
  renderAppsPage,
  renderNewAppPage,
} from './pages.ts'
import { fieldsOf, type ParseApp } from './request.ts'

const notices: Readonly<Record<string, string>> = {
  updated: 'The app has been updated.',
  returned:
    'The app has been updated and is pending approval again. Until then nobody can sign in to it; its tokens have been revoked.',
  deleted: 'The app has been deleted. Its tokens and consents have been revoked.',
}
const warnings: Readonly<Record<string, string>> = {
  changed: 'Nothing was changed: the app has been changed meanwhile. Review it and try again.',
}

const frame = (c: AppContext, { csrf }: AppsOptions) => ({
  user: viewer(c),
  csrfToken: csrf.token(c),
  now: c.var.now,
})

const ownerOf = (c: AppContext) => signedInUser(c).user.id

export async function getApps(c: AppContext, options: AppsOptions) {
  const apps = await listApps(options.db, ownerOf(c))
  return c.html(
    await renderAppsPage({ ...frame(c, options), ...noticesOf(c, { notices, warnings }), apps }),
  )
}

export const getNewApp = (c: AppContext, options: AppsOptions) => newAppPage(c, options)

/** What was typed stays, for a form that is out of date. */
export const postOutdatedApp = async (c: AppContext, options: AppsOptions) =>
  newAppPage(c, options, outdatedForm(await readFields(c)))

async function newAppPage(c: AppContext, options: AppsOptions, refused?: RefusedForm) {
  const { offered } = options
  const page = await renderNewAppPage({
    ...frame(c, options),
    offered,
    ...(refused && { refused }),
  })
  return c.html(page, refused ? (refused.status ?? 400) : 200)
}

/** The answer shows the credentials, or the form again with what is wrong with it. */
export async function postApp(c: AppContext, options: AppsOptions, parse: ParseApp) {
  const ownerId = ownerOf(c)
  await enforceLimit(c, options.db, options.limiter, ownerId)
  const fields = await readFields(c)
  try {
    const created = await registerApp(
      options.db,
      { ...parse(fields), ownerId, requirePkce: options.requirePkce },
      actedBy(c),
    )
    if (created) return await secretPage(c, options, created)
    throw new FormError(
      '',
      `${maxPendingApps} of your apps are already pending approval. Delete one, or wait until they are approved or rejected.`,
    )
  } catch (error) {
    return newAppPage(c, options, refusalOf(fields, error))
  }
}

function refusalOf(values: URLSearchParams, error: unknown): RefusedForm {
  const { field, message } = asFormError(error)
  return { values, problem: message, field }
}

export async function getApp(c: AppContext, options: AppsOptions) {
  const client = await requireApp(c, options)
  const app = {
    ...client,
    hasSecret: hasSecret(client.tokenEndpointAuthMethod),
    scopes: scopeWords(client.scope),
  }
  return c.html(
    await renderAppPage({ ...frame(c, options), ...noticesOf(c, { notices, warnings }), app }),
  )
}

export async function getAppEdit(c: AppContext, options: AppsOptions) {
  const client = await requireApp(c, options)
  const form = { values: fieldsOf(client), problem: '', field: '' }
  return editPage(c, options, { client, seen: versionOf(client), form })
}

export async function postOutdatedAppEdit(c: AppContext, options: AppsOptions) {
  const client = await requireApp(c, options)
  const fields = await readFields(c)
  return editPage(c, options, {
    client,
    seen: fields.get('seen') ?? '',
    form: outdatedForm(fields),
  })
}

async function editPage(
  c: AppContext,
  options: AppsOptions,
  { client, seen, form }: { client: Client; seen: string; form: RefusedForm },
) {
  const { clientId, name, status } = client
  const { offered } = options
  const shown = { clientId, name, status, seen, offered, form }
  const page = await renderAppEditPage({ ...frame(c, options), ...shown })
  return c.html(page, form.problem === '' ? 200 : (form.status ?? 400))
}

/** What people have already allowed stays, for when it is approved again. */
export async function postAppEdit(c: AppContext, options: AppsOptions, parse: ParseApp) {
  const current = await requireApp(c, options)
  const app = ownApp(c)
  const fields = await readFields(c)
  const seen = fields.get('seen') ?? ''
  try {
    const content = parse(fields, current)
    await verifySector(options.fetchDocument, content.metadata)
    const updated = await updateApp(options.db, { app, seen, content }, actedBy(c))
    if (updated.result === 'unknown') throw noSuchApp()
    const path = `/apps/${app.clientId}`
    if (updated.result !== 'success') return c.redirect(`${path}?notice=changed`, 303)
    options.clients.invalidate(app.clientId)
    if (updated.returned) c.var.recorder.clientDecided('returned')
    recordEndedAccess(c.var.recorder, updated.ended, 'user')
    return c.redirect(`${path}?notice=${updated.returned ? 'returned' : 'updated'}`, 303)
  } catch (error) {
    return editPage(c, options, { client: current, seen, form: refusalOf(fields, error) })
  }
}

export async function postAppSecret(c: AppContext, options: AppsOptions) {
  const app = ownApp(c)
  const created = await regenerateAppSecret(options.db, app, actedBy(c))
  if (!created) throw noSuchApp()
  options.clients.invalidate(app.clientId)
  return secretPage(c, options, created)
}

export async function postAppDelete(c: AppContext, options: AppsOptions) {
  const app = ownApp(c)
  const ended = await deleteApp(options.db, app, actedBy(c))
  if (!ended) throw noSuchApp()
  options.clients.invalidate(app.clientId)
  recordEndedAccess(c.var.recorder, ended, 'user')
  return c.redirect('/apps?notice=deleted', 303)
}

const ownApp = (c: AppContext): OwnApp => ({
  clientId: uuidParameter(c, 'id') ?? '',
  ownerId: ownerOf(c),
})

async function requireApp(c: AppContext, { db }: AppsOptions): Promise<Client> {
  const client = await findApp(db, ownApp(c))
  if (!client) throw noSuchApp()
  return client
}

const noSuchApp = () =>
  new PageError(
    404,
    'App not found',
    'There is no app of yours at this address, or it has no secret.',
  )

async function secretPage(
  c: AppContext,
  options: AppsOptions,
  { client: { clientId, name, status }, secret }: CreatedClient,
) {
  return c.html(
    await renderAppSecretPage({
      ...frame(c, options),
      clientId,
      name,
      isPending: status === 'pending',
      ...(secret !== undefined && { clientSecret: secret }),
    }),
  )
}
