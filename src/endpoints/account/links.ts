/** Linked accounts at identity providers: shown and removed on /account/security. */
import { html } from 'hono/html'
import { type Identity, maxIdentities, removeIdentity } from '#/domain/identities/identities.ts'
import { upstreamTitles } from '#/protocol/vocabulary.ts'
import { confirmation, cutOff, fact, listItem, monogram, postForm } from '#/web/pages/components.ts'
import type { Html } from '#/web/pages/html.ts'
import { renderTime } from '#/web/pages/times.ts'
import type { AppContext } from '#/web/request/context.ts'
import { uuidParameter } from '#/web/request/ids.ts'
import { actedBy, signedInUser } from '#/web/sessions/current-user.ts'
import { recordEndedSessions } from '#/web/sessions/record-ended.ts'
import type { AccountOptions, LinkSources } from './options.ts'

const path = '/account/security'

/** Removes one of the user's own links. Other users' ids are treated as unknown. */
export async function postRemoveLink(c: AppContext, { db }: AccountOptions) {
  const { user, session } = signedInUser(c)
  const id = uuidParameter(c, 'id')
  if (id === undefined) return c.redirect(path, 303)
  const which = { id, userId: user.id, keepSession: session.id }
  const removed = await removeIdentity(db, which, actedBy(c))
  if (removed === 'unknown') return c.redirect(path, 303)
  if (removed === 'last_way_in') return c.redirect(`${path}?notice=last_way_in`, 303)
  recordEndedSessions(c.var.recorder, removed.sessions)
  return c.redirect(`${path}?notice=unlinked`, 303)
}

export interface LinksProps {
  readonly csrfToken: string
  readonly providers: LinkSources
  readonly identities: readonly Pick<
    Identity,
    'id' | 'source' | 'label' | 'createdAt' | 'lastUsedAt'
  >[]
  readonly now: Date
}

/** The links, each with a way to end it, and the providers that could be linked; nothing where there are neither. */
export function linksSection(props: LinksProps): Html | '' {
  const { csrfToken, providers, identities } = props
  if (providers.length === 0 && identities.length === 0) return ''
  const titleOf = (source: string) =>
    providers.find((provider) => provider.source === source)?.title ?? elsewhere[source] ?? source
  const linked = identities.map((identity) => linkCard(identity, titleOf(identity.source), props))
  const offered = providers.map(({ source, title }) =>
    postForm(
      { action: `${path}/links/${source}`, csrfToken },
      html`<button class="button">Link ${title}</button>`,
    ),
  )
  return html`<section class="elsewhere" aria-labelledby="links">
<h2 id="links">Other ways to sign in</h2>
${
  linked.length > 0
    ? html`<ul class="card-list">${linked}</ul>`
    : html`<p class="hint">No accounts are linked. Link one to sign in with it.</p>`
}
${cutOff(linked.length, maxIdentities, 'Remove some to see the others.')}
${offered.length > 0 && html`<div class="elsewhere-offers">${offered}</div>`}
</section>`
}

function linkCard(
  { id, source, label, createdAt, lastUsedAt }: LinksProps['identities'][number],
  title: string,
  { csrfToken, now, providers }: LinksProps,
): Html {
  const trusted = providers.some((provider) => provider.source === source && provider.trustEmail)
  const remove = postForm(
    { action: `${path}/links/${id}/remove`, csrfToken },
    html`<p class="menu-text">You will no longer be able to sign in with ${title}. Other devices that signed in with it will be signed out.${trusted && html` While that account has your email address, signing in with it links it again.`}</p><button class="button button-danger">Remove link</button>`,
  )
  return listItem(
    { tile: monogram(title), title: html`<h3>${title}</h3>` },
    html`<dl class="facts">
${fact('Account', label)}
${fact('Linked', renderTime(createdAt, now))}
${fact('Last used', renderTime(lastUsedAt, now))}
</dl>
${confirmation('Remove link…', remove)}`,
  )
}

/** Names of providers that are no longer set up, and of what is linked in another way. */
const elsewhere: Readonly<Record<string, string>> = {
  ...upstreamTitles,
  http_api: 'Your organization',
}
