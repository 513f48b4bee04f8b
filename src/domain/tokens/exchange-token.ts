/**
 * Exchanging an access token (RFC 8693): a client that was sent one as a resource goes on with another, for the same
 * user, in its own name. What comes out is never more than what went in, and ends with it and with the approval it all rests on.
 */
import { type Placeholder, sql } from 'drizzle-orm'
import type { Database } from '#/database/client.ts'
import { statementDeadline } from '#/database/deadline.ts'
import { type Client, clients } from '#/database/schema/clients.ts'
import { type Actor, tokens } from '#/database/schema/tokens.ts'
import type { User } from '#/database/schema/users.ts'
import { type Placeholders, prepared } from '#/database/statements/statements.ts'
import { type AuditOrigin, auditCtes, auditParams } from '#/domain/audit/audit.ts'
import {
  type JudgedClient,
  requireCurrentClient,
  type VersionedClient,
} from '#/domain/clients/client-version.ts'
import type { KeySet } from '#/domain/keys/keys.ts'
import { lockedOpenSession } from '#/domain/sessions/sessions.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { scopeWords } from '#/protocol/scopes.ts'
import { span } from '#/telemetry/tracing.ts'
import {
  lockedActiveClient,
  lockedActiveGrant,
  type SessionBinding,
  whileSignedIn,
} from './active-grant.ts'
import { isPartyTo } from './introspect.ts'
import { narrowResources, narrowScope } from './narrow.ts'
import { audienceOf } from './token-claims.ts'
import {
  findLiveAccessToken,
  type LiveToken,
  type NewTokens,
  type Token,
  type TokenLifetimes,
  tokenCtes,
  tokenParams,
} from './tokens.ts'
import { lockedLiveToken } from './use-refresh-token.ts'
import { verifyAccessToken } from './verify-access-token.ts'

/** How many clients may act one for the other. */
const maxChain = 4

export interface PresentedSubject {
  readonly token: string
  /** Who asks. */
  readonly client: VersionedClient
  /** What the client asks for; undefined for all that it may have. */
  readonly scope: readonly string[] | undefined
  readonly targets: readonly string[] | undefined
  /** Key of the DPoP proof that came along. */
  readonly dpopJkt: string | null
  readonly lifetimes: TokenLifetimes
  readonly issuer: string
  readonly now: Date
}

export type Exchange =
  | { readonly result: 'success'; readonly access: Token; readonly user: User }
  | { readonly result: 'invalid' | 'not_entitled' }

/** Throws when the token is good, but not for what is asked with it. */
export function exchangeToken(
  db: Database,
  keys: KeySet,
  { presented, origin }: { presented: PresentedSubject; origin: AuditOrigin },
): Promise<Exchange> {
  const { client, now } = presented
  return span('tokens.exchange', async () => {
    const live = await findSubject(db, keys, presented)
    if (!live) return { result: 'invalid' }
    const { token: subject, user } = live
    if (!isPartyTo(subject, client)) return { result: 'not_entitled' }
    if (!user) throw new OAuthError('invalid_request', 'the subject_token has no user')
    const { clientId, version: clientVersion } = client
    const { access, values } = tokenParams(tokenFor(subject, presented))
    const audited = auditParams(origin, {
      type: 'TOKEN_EXCHANGED',
      at: now,
      actor: user,
      clientId,
      resource: { type: 'token_family', id: subject.familyId },
      details: { scope: access.scope, subject_client_id: subject.clientId },
    })
    const originClientId = subject.originClientId ?? subject.clientId
    const { sessionId, endsWithSession } = subject
    const who = {
      userId: user.id,
      clientId,
      clientVersion,
      originClientId,
      sessionId,
      endsWithSession,
    }
    const which = {
      id: subject.id,
      chain: chainOf(subject.details.actor),
      now,
      deadline: statementDeadline(),
    }
    const used = await exchange(db, { ...who, ...which, ...values, ...audited })
    if (used.length > 0) return { result: 'success', access, user }
    await requireCurrentClient(db, { clientId, clientVersion })
    return { result: 'invalid' }
  })
}

async function findSubject(
  db: Database,
  keys: KeySet,
  { token, issuer, now }: PresentedSubject,
): Promise<LiveToken | undefined> {
  const verified = await verifyAccessToken(keys, token, { issuer, audience: undefined, now })
  return verified.result === 'valid' ? findLiveAccessToken(db, verified.id, now) : undefined
}

type Use = SessionBinding &
  JudgedClient & {
    readonly originClientId: string
    readonly chain: readonly string[]
    readonly id: string
    readonly now: Date
    readonly deadline: Date
  }

/**
 * One statement: the token is stored if the subject token is still active, its user consents to the client that it
 * began with, and the requesting client is active. The clients in between are locked, too, so that revoking the
 * access of one of them waits and then finds the new token, or comes first.
 */
const exchange = prepared((db, slots: Placeholders<Use>) => {
  const { userId, clientId, clientVersion, originClientId, id, now, deadline } = slots
  const user = db.$with('user').as(lockedActiveGrant(db, { userId, clientId: originClientId }))
  const client = db.$with('client').as(lockedActiveClient(db, { clientId, clientVersion }))
  const between = db.$with('between').as(heldClients(db, slots.chain))
  const consenting = db.$with('consenting').as(
    db
      .select({ userId: user.userId })
      .from(user)
      .innerJoin(client, sql`true`)
      // Always true: Postgres locks nothing in a part that nobody reads.
      .where(sql`(select count(*) from ${between}) >= 0`),
  )
  const session = db.$with('session').as(lockedOpenSession(db, consenting, slots))
  const holder = db.$with('holder').as(whileSignedIn(db, { consenting, session }, slots))
  const used = db.$with('used').as(lockedLiveToken(db, holder, { id, now, deadline }))
  return db
    .with(
      user,
      client,
      between,
      consenting,
      session,
      holder,
      used,
      ...tokenCtes(db, used),
      auditCtes(db, used),
    )
    .select()
    .from(used)
})

const heldClients = (db: Database, chain: Placeholder) =>
  db
    .select({ clientId: clients.clientId })
    .from(clients)
    .where(sql`${clients.clientId} = any(${sql.param(chain, tokens.resources)})`)
    .for('key share')

function tokenFor(subject: Token, presented: PresentedSubject): NewTokens {
  const { client, scope, dpopJkt, lifetimes, now } = presented
  // RFC 9449 §6: a bound token is of use to the holder of its key alone, whoever was sent it.
  if (subject.dpopJkt !== null && subject.dpopJkt !== dpopJkt)
    throw new OAuthError('invalid_request', 'the subject_token is bound to another key')
  return {
    grant: grantFor(subject, client),
    scope: scopeFor(subject, client, scope),
    resources: resourcesFor(subject, presented),
    dpopJkt,
    lifetimes: {
      ...lifetimes,
      accessMs: Math.min(lifetimes.accessMs, subject.expiresAt.getTime() - now.getTime()),
    },
    now,
  }
}

/** RFC 8693 §2.2.2. No resource stands for this server itself: what was made for others must not become that. */
function resourcesFor(
  subject: Token,
  { client: { allowedResources }, targets, issuer }: PresentedSubject,
): readonly string[] {
  if (targets) return narrowResources(allowedResources, targets)
  const both = subject.resources.filter((resource) => allowedResources.includes(resource))
  if (both.length === 0 && ![audienceOf(issuer, subject)].flat().includes(issuer))
    throw new OAuthError('invalid_target', 'none of the resources remains')
  return both
}

/** Whose the new token is. A client that exchanges a token of its own acts for nobody new. */
function grantFor(subject: Token, { clientId }: Client): NewTokens['grant'] {
  // The claims that were asked for by name are for the client that asked.
  const { claims: _, ...details } = subject.details
  const below = { ...subject, parentId: subject.id, details }
  if (subject.clientId === clientId) return below
  return {
    ...below,
    clientId,
    originClientId: subject.originClientId ?? subject.clientId,
    details: { ...details, actor: actorAfter(details.actor, clientId) },
  }
}

/** RFC 8693 §4.1: the one who acts now, and in it those who acted before. */
function actorAfter(before: Actor | undefined, clientId: string): Actor {
  if (chainOf(before).length >= maxChain)
    throw new OAuthError('invalid_request', 'too many clients have exchanged this token already')
  return before ? { sub: clientId, act: before } : { sub: clientId }
}

const chainOf = (actor: Actor | undefined): string[] =>
  actor ? [actor.sub, ...chainOf(actor.act)] : []

/** What both may have; a token that ends with another one is no access while the user is away. */
function scopeFor(subject: Token, client: Client, asked: readonly string[] | undefined): string {
  const own = new Set(scopeWords(client.scope))
  const both = scopeWords(subject.scope).filter((word) => own.has(word))
  const scope = narrowScope(both.filter((word) => word !== 'offline_access').join(' '), asked)
  if (scope === '') throw new OAuthError('invalid_scope', 'none of the scope remains')
  return scope
}
