/** /admin/clients: the applications that people can sign in to. */

import {
  editClient,
  regenerateClientSecret,
  type StatusChange,
  setClientStatus,
} from '#/domain/access-revocation/edit-clients.ts'
import { deleteClientBy, revokeAllOfClient } from '#/domain/access-revocation/end-clients.ts'
import {
  type Client,
  type CreatedClient,
  createClient,
  findClient,
  hasSecret,
  listPendingClients,
  versionOf,
} from '#/domain/clients/clients.ts'
import { clientsPageQuery, countPendingClients } from '#/domain/clients/find-clients.ts'
import { metadataOf } from '#/domain/clients/metadata.ts'
import { verifySector } from '#/domain/clients/sector-identifier.ts'
import type { ClientMetadata } from '#/protocol/client-metadata.ts'
import { scopeWords } from '#/protocol/scopes.ts'
import { asFormError } from '#/web/pages/form-error.ts'
import { noticesOf } from '#/web/pages/notices.ts'
import { PageError } from '#/web/pages/page-error.ts'
import { outdatedForm, type RefusedForm } from '#/web/pages/refused-form.ts'
import type { AppContext } from '#/web/request/context.ts'
import { readFields } from '#/web/request/forms.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { actedBy, signedInUser } from '#/web/sessions/current-user.ts'
import { recordEndedAccess } from '#/web/sessions/record-ended.ts'
import { viewer } from '#/web/sessions/viewer.ts'
import type { AdminOptions } from '../options.ts'
import type { AdminPageProps } from '../page.ts'
import { fieldsOf, operatorSettingsOf, type ParseClient } from './fields.ts'
import { type ClientFilterInput, readClientFilter } from './filter.ts'
import { withNameNotes } from './name-notes.ts'
import {
  type ClientEditPageProps,
  type ListedClient,
  renderClientEditPage,
  renderClientSecretPage,
  renderClientsPage,
} from './pages.ts'

const path = '/admin/clients'
const pageSize = 50

const notices: Readonly<Record<string, string>> = {
  approved: 'The client has been approved.',
  rejected: 'The client has been rejected.',
  enabled: 'The client has been enabled.',
  disabled: 'The client has been disabled. Its tokens and codes have been revoked.',
  updated: 'The client has been updated.',
  deleted: 'The client has been deleted. Its tokens and consents have been revoked.',
  revoked: 'All access of the client has been revoked. It can ask for access again.',
}
const warnings: Readonly<Record<string, string>> = {
  changed:
    'Nothing was changed: the client has been changed, approved or rejected meanwhile. Review it and try again.',
}

export const getClients = (c: AppContext, options: AdminOptions) => clientsPage(c, options)

/** The notice or warning that the address names. */
export const clientNotices = (c: AppContext) => noticesOf(c, { notices, warnings })

async function clientsPage(c: AppContext, options: AdminOptions, refused?: RefusedForm) {
  const { db, csrf, offered, requirePkce } = options
  const question = readClientFilter(c)
  const { sent, after } = question
  // Pending clients come first, unless a filter is set.
  const isStart = after === undefined && Object.keys(sent).length === 0
  const pending = isStart ? await listPendingClients(db) : []
  const page = await renderClientsPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    pending: await withNameNotes(db, pending.map(listed)),
    pendingCount: isStart ? await countPendingClients(db) : 0,
    sent,
    requirePkce,
    offered,
    ...(await findPage(db, question)),
    ...clientNotices(c),
    ...(refused && { refused }),
  })
  return c.html(page, refused ? (refused.status ?? 400) : 200)
}

async function findPage(db: AdminOptions['db'], { sent, filter, after }: ClientFilterInput) {
  const found = await clientsPageQuery(db, filter, { after, limit: pageSize + 1 })
  const rows = found.slice(0, pageSize)
  const last = found.length > pageSize ? rows.at(-1) : undefined
  const clients = await withNameNotes(
    db,
    rows.map(({ client }) => listed(client)),
  )
  if (!last) return { clients }
  const behind = { after_name: last.sortName, after_id: last.client.clientId }
  return { clients, next: `${path}?${new URLSearchParams({ ...sent, ...behind })}` }
}

/** A client as pages show it. */
export const listed = (client: Client): ListedClient => ({
  ...client,
  version: versionOf(client),
  hasSecret: hasSecret(client.tokenEndpointAuthMethod),
  scopes: scopeWords(client.scope),
  settings: Object.fromEntries(
    Object.entries<unknown>({
      ...metadataOf(client),
      description: client.description,
      owner_id: client.ownerId ?? '',
      ...operatorSettingsOf(client),
    }).filter(
      ([, value]) => value !== false && value !== '' && !(Array.isArray(value) && !value.length),
    ),
  ),
})

/** A form that has expired is shown again with its values. */
export const postOutdatedClient = async (c: AppContext, options: AdminOptions) =>
  clientsPage(c, options, outdatedForm(await readFields(c)))

/** The answer shows the credentials, or the form again with what is wrong with it. */
export async function postClient(c: AppContext, options: AdminOptions, parse: ParseClient) {
  const fields = await readFields(c)
  try {
    const { metadata, client } = parse(fields)
    await verifySector(options.fetchDocument, metadata)
    const owned = { ...client, status: 'active', ownerId: signedInUser(c).user.id } as const
    const created = await createClient(options.db, owned, actedBy(c))
    return await secretPage(c, options, created)
  } catch (error) {
    const { field, message } = asFormError(error)
    return clientsPage(c, options, { values: fields, problem: message, field })
  }
}

export async function getClientEdit(c: AppContext, options: AdminOptions) {
  const client = await requireClientOfPath(c, options)
  const form = { values: fieldsOf(client), problem: '', field: '' }
  return editPage(c, options, { ...client, seen: versionOf(client), form })
}

/** Consents stay; the page says which tokens are revoked. */
export async function postClientEdit(c: AppContext, options: AdminOptions, parse: ParseClient) {
  const current = await requireClientOfPath(c, options)
  const { clientId } = current
  const fields = await readFields(c)
  const seen = fields.get('seen') ?? ''
  try {
    const { metadata, client: next } = parse(fields, current)
    await verifySector(options.fetchDocument, metadata)
    const change = { clientId, seen, next: { ...next, ...methodOf(metadata) } }
    const edited = await editClient(options.db, change, actedBy(c))
    if (edited.result !== 'success') return c.redirect(`${path}?notice=changed`, 303)
    options.clients.invalidate(clientId)
    c.var.recorder.clientDecided('updated')
    recordEndedAccess(c.var.recorder, edited.ended, 'admin')
    if (edited.secret !== undefined) return await secretPage(c, options, edited)
    return c.redirect(`${await noticePath(options, current, edited.client)}?notice=updated`, 303)
  } catch (error) {
    const { field, message } = asFormError(error)
    const form = { values: fields, problem: message, field }
    return editPage(c, options, { ...current, seen, form })
  }
}

/** The page for the notice: the client's own if its new name has warnings, else the list. */
async function noticePath({ db }: AdminOptions, before: Client, after: Client): Promise<string> {
  if (after.name === before.name) return path
  const [noted] = await withNameNotes(db, [after])
  return noted?.nameNotes.length ? `${path}/${after.clientId}` : path
}

export async function postOutdatedClientEdit(c: AppContext, options: AdminOptions) {
  const client = await requireClientOfPath(c, options)
  const form = outdatedForm(await readFields(c))
  return editPage(c, options, { ...client, seen: form.values.get('seen') ?? '', form })
}

const methodOf = (metadata: ClientMetadata) => ({
  tokenEndpointAuthMethod: metadata.token_endpoint_auth_method,
})

/** The client that the path names. */
export async function requireClientOfPath(c: AppContext, { db }: AdminOptions): Promise<Client> {
  const client = await findClient(db, uuidParameter(c, 'id') ?? '')
  if (!client) throw new PageError(404, 'Client not found', 'There is no client at this address.')
  return client
}

async function editPage(
  c: AppContext,
  { csrf, offered }: AdminOptions,
  { clientId, name, seen, form }: Omit<ClientEditPageProps, keyof AdminPageProps | 'offered'>,
) {
  const props = { clientId, name, seen, form, offered, user: viewer(c), csrfToken: csrf.token(c) }
  return c.html(await renderClientEditPage(props), form.problem === '' ? 200 : (form.status ?? 400))
}

/** Approve and reject apply to the version that was shown, enable and disable to the current one. */
const changes = {
  approved: { status: 'active', from: 'pending' },
  rejected: { status: 'inactive', from: 'pending' },
  enabled: { status: 'active', from: 'inactive' },
  disabled: { status: 'inactive', from: 'active' },
} as const satisfies Record<string, Omit<StatusChange, 'clientId'>>

export async function postClientDecision(
  c: AppContext,
  { db, clients }: AdminOptions,
  decision: keyof typeof changes,
) {
  const clientId = uuidParameter(c, 'id') ?? ''
  const change = { clientId, ...changes[decision] }
  const seen = change.from === 'pending' ? { seen: (await readFields(c)).get('seen') ?? '' } : {}
  const changed = await setClientStatus(db, { ...change, ...seen }, actedBy(c))
  if (!changed) return c.redirect(change.from === 'pending' ? `${path}?notice=changed` : path, 303)
  clients.invalidate(clientId)
  c.var.recorder.clientDecided(changed.decision)
  recordEndedAccess(c.var.recorder, changed.ended, 'admin')
  return c.redirect(`${path}?notice=${decision}`, 303)
}

export async function postClientDelete(c: AppContext, { db, clients }: AdminOptions) {
  const clientId = uuidParameter(c, 'id') ?? ''
  const ended = await deleteClientBy(db, clientId, actedBy(c))
  if (!ended) return c.redirect(path, 303)
  clients.invalidate(clientId)
  c.var.recorder.clientDecided('deleted')
  recordEndedAccess(c.var.recorder, ended, 'admin')
  return c.redirect(`${path}?notice=deleted`, 303)
}

export async function postClientRevokeAll(c: AppContext, { db }: AdminOptions) {
  const ended = await revokeAllOfClient(db, uuidParameter(c, 'id') ?? '', actedBy(c))
  if (!ended) return c.redirect(path, 303)
  recordEndedAccess(c.var.recorder, ended, 'admin')
  return c.redirect(`${path}?notice=revoked`, 303)
}

export async function postClientSecret(c: AppContext, options: AdminOptions) {
  const clientId = uuidParameter(c, 'id') ?? ''
  const created = await regenerateClientSecret(options.db, clientId, actedBy(c))
  if (!created)
    throw new PageError(
      404,
      'Client not found',
      'There is no client with a secret at this address.',
    )
  options.clients.invalidate(clientId)
  return secretPage(c, options, created)
}

async function secretPage(
  c: AppContext,
  { db, csrf }: AdminOptions,
  { client, secret }: CreatedClient,
) {
  const { clientId, name } = client
  const [noted] = await withNameNotes(db, [client])
  return c.html(
    await renderClientSecretPage({
      user: viewer(c),
      csrfToken: csrf.token(c),
      clientId,
      name,
      nameNotes: noted?.nameNotes ?? [],
      ...(secret !== undefined && { clientSecret: secret }),
    }),
  )
}
