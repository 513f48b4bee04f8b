/** /admin/clients: the applications that people can sign in to. */
import { z } from 'zod'
import {
  type Client,
  createClient,
  listClients,
  regenerateClientSecret,
  setClientStatus,
} from '#/domain/clients/clients.ts'
import type { GrantType } from '#/protocol/grant-types.ts'
import { isRegistrableRedirectUri } from '#/protocol/redirect-uri.ts'
import { isScopeWithin, parseScope, standardScopes } from '#/protocol/scopes.ts'
import { clientTypes } from '#/protocol/vocabulary.ts'
import type { AppContext } from '#/web/context.ts'
import { signedInUser } from '#/web/current-user.ts'
import { readFields } from '#/web/forms.ts'
import { PageError } from '#/web/page-error.ts'
import { recordRevokedTokens } from '#/web/record-ended.ts'
import { uuidParameter, viewer } from '#/web/viewer.ts'
import { renderClientSecretPage, renderClientsPage } from './pages.ts'
import type { AdminOptions } from './routes.ts'

const path = '/admin/clients'

const notices: Readonly<Record<string, string>> = {
  active: 'The client is enabled.',
  inactive: 'The client is disabled. Its tokens have ended.',
}

export async function getClients(c: AppContext, { db, csrf }: AdminOptions) {
  const clients = await listClients(db)
  const notice = notices[c.req.query('notice') ?? '']
  const page = await renderClientsPage({
    user: viewer(c),
    csrfToken: csrf.token(c),
    now: c.var.now,
    clients: clients.map(({ scope, ...client }) => ({ ...client, scopes: scope.split(' ') })),
    ...(notice && { notice }),
  })
  return c.html(page)
}

const lines = z
  .string('Give at least one redirect URI.')
  .transform((text) => text.split(/[\s,]+/).filter((line) => line !== ''))
  .refine((uris) => uris.length > 0 && uris.length <= 20, 'Give between 1 and 20 redirect URIs.')
  .refine(
    (uris) => uris.every(isRegistrableRedirectUri),
    'Redirect URIs must be https, http on the loopback interface, or a private scheme such as com.example.app:/callback.',
  )

const clientGrantTypes: GrantType[] = ['authorization_code', 'refresh_token']

const newClient = z.object({
  client_name: z
    .string('Give a name.')
    .trim()
    .min(1, 'Give a name.')
    .max(100, 'The name is too long.'),
  client_type: z.enum(clientTypes, 'Choose a type.'),
  redirect_uris: lines,
  client_uri: z
    .url({ protocol: /^https?$/, error: 'The home page must be an http or https URL.' })
    .optional(),
  scope: z
    .string('Choose at least one scope.')
    .refine((scope) => parseScope(scope)?.length, 'Choose at least one scope.')
    .refine(
      (scope) => isScopeWithin(parseScope(scope) ?? [], standardScopes.join(' ')),
      'Choose from the listed scopes.',
    ),
})

export async function postClient(c: AppContext, { db, csrf }: AdminOptions) {
  const parsed = newClient.safeParse(await readClientForm(c))
  if (!parsed.success)
    throw new PageError(400, 'The client was not created', parsed.error.issues[0]?.message ?? '')
  const form = parsed.data
  const { client, secret } = await createClient(
    db,
    {
      name: form.client_name,
      uri: form.client_uri ?? null,
      type: form.client_type,
      status: 'active',
      redirectUris: form.redirect_uris,
      grantTypes: clientGrantTypes,
      scope: form.scope,
      ownerId: signedInUser(c).user.id,
    },
    by(c),
  )
  return secretPage(c, csrf.token(c), client, secret)
}

/** Checkboxes repeat their name, so this form is read on its own. */
async function readClientForm(c: AppContext): Promise<Record<string, string>> {
  const body = await readFields(c)
  const fields = Object.fromEntries([...body].filter(([, value]) => value !== ''))
  return { ...fields, scope: body.getAll('scope').join(' ') }
}

export async function postClientStatus(
  c: AppContext,
  { db, clients }: AdminOptions,
  status: Client['status'],
) {
  const clientId = uuidParameter(c, 'id') ?? ''
  const changed = await setClientStatus(db, { clientId, status }, by(c))
  if (!changed) return c.redirect(path, 303)
  clients.invalidate(clientId)
  recordRevokedTokens(c.var.recorder, changed.tokens)
  return c.redirect(`${path}?notice=${status}`, 303)
}

export async function postClientSecret(c: AppContext, { db, clients, csrf }: AdminOptions) {
  const clientId = uuidParameter(c, 'id') ?? ''
  const created = await regenerateClientSecret(db, clientId, by(c))
  if (!created)
    throw new PageError(404, 'No such client', 'There is no client with a secret at this address.')
  clients.invalidate(clientId)
  return secretPage(c, csrf.token(c), created.client, created.secret)
}

async function secretPage(
  c: AppContext,
  csrfToken: string,
  { clientId, name }: Client,
  clientSecret: string | undefined,
) {
  return c.html(
    await renderClientSecretPage({
      user: viewer(c),
      csrfToken,
      clientId,
      name,
      ...(clientSecret !== undefined && { clientSecret }),
    }),
  )
}

const by = (c: AppContext) => ({
  actor: signedInUser(c).user,
  origin: c.var.origin,
  now: c.var.now,
})
