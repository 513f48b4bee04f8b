/** Random trees of exchanged tokens against a plain model: what ends takes all that is below with it, and nothing else. */
import { and, eq, isNull } from 'drizzle-orm'
import fc from 'fast-check'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { tokens } from '#/database/schema/tokens.ts'
import { editClient, setClientStatus } from '#/domain/access-revocation/edit-clients.ts'
import { revokeAllOfClient } from '#/domain/access-revocation/end-clients.ts'
import { systemOrigin } from '#/domain/audit/audit.ts'
import { findClient, versionOf } from '#/domain/clients/clients.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openBrowser } from '../support/browser.ts'
import { obtainCode, postToken, redeemCode } from '../support/flow.ts'
import { addClient, addUser } from '../support/people.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const resource = 'https://services.example.test/'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
afterAll(() => app.close())

/** A client; the first is where the user has signed in. */
interface Holder {
  readonly id: string
  readonly secret: string
  active: boolean
  mayWrite: boolean
}

interface Node {
  readonly token: string
  readonly parent: Node | undefined
  readonly holder: Holder
  readonly writes: boolean
  /** How many have acted one for the other. */
  readonly actors: number
  live: boolean
}

interface World {
  readonly holders: readonly [Holder, ...Holder[]]
  readonly nodes: [Node, ...Node[]]
}

const some = fc.nat(30)
const anyAction = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('exchange' as const),
      node: some,
      by: fc.integer({ min: 1, max: 3 }),
      writes: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), node: some }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('deactivate' as const, 'narrow' as const, 'cut off' as const),
      by: fc.nat(3),
    }),
  },
)
type Action = typeof anyAction extends fc.Arbitrary<infer A> ? A : never

it('ends what was exchanged with what it came from, in any history', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyAction, { minLength: 4, maxLength: 12 }),
      async (history: readonly Action[]) => {
        const world = await createWorld()
        for (const action of history) {
          const ended = await step(world, action)
          expect({ action, ended, live: await liveRows(world) }).toEqual({
            action,
            ended: model(world, action),
            live: world.nodes.filter(({ live }) => live).map(({ token }) => idOf(token)),
          })
        }
      },
    ),
    { numRuns: 12 },
  )
}, 120_000)

const idOf = (token: string) => decodeJwt(token).jti ?? ''

async function createWorld(): Promise<World> {
  const more = { scope: 'read write', allowedResources: [resource] }
  const served = { grantTypes: [grantType], servedResources: [resource], redirectUris: [] }
  const [first, ...others] = await Promise.all([
    addHolder({ ...more, grantTypes: ['authorization_code'] }),
    ...[1, 2, 3].map(() => addHolder({ ...more, ...served })),
  ])
  const browser = openBrowser(app)
  await browser.signIn((await addUser(app.database.db)).username)
  const code = await obtainCode(browser, first.id, { scope: 'read write', resource })
  const response = await redeemCode(app, first.id, code, { client_secret: first.secret })
  const { access_token: token } = (await response.json()) as { access_token: string }
  const root = { token, parent: undefined, holder: first, writes: true, actors: 0, live: true }
  return { holders: [first, ...others], nodes: [root] }
}

async function addHolder(more: Parameters<typeof addClient>[1]): Promise<Holder> {
  const added = await addClient(app.database.db, { type: 'confidential', ...more })
  const { client, secret = '' } = added
  return { id: client.clientId, secret, active: true, mayWrite: true }
}

const shown = ({ id, secret }: Holder) => ({ client_id: id, client_secret: secret })
const at = <T>(list: readonly [T, ...T[]], index: number): T => list[index % list.length] ?? list[0]

/** Does it; answers how many tokens ended. */
async function step(world: World, action: Action): Promise<number> {
  const { db } = app.database
  if (action.do === 'exchange') return exchange(world, action)
  if (action.do === 'revoke') {
    const { token, holder } = at(world.nodes, action.node)
    const body = new URLSearchParams({ token, ...shown(holder) })
    return counted(() => app.request('/oauth/revoke', { method: 'POST', body }))
  }
  const clientId = at(world.holders, action.by).id
  const by = { origin: systemOrigin, now: app.now() }
  if (action.do === 'deactivate') {
    const changed = await setClientStatus(db, { clientId, status: 'inactive' }, by)
    return changed?.ended.tokens.access ?? 0
  }
  if (action.do === 'cut off') {
    return (await revokeAllOfClient(db, clientId, by))?.tokens.access ?? 0
  }
  const current = await findClient(db, clientId)
  if (!current) throw new Error('the client is gone')
  const next = { tokenEndpointAuthMethod: current.tokenEndpointAuthMethod, scope: 'read' }
  const edit = { clientId, seen: versionOf(current), next, reason: 'admin_request' } as const
  const edited = await editClient(db, edit, by)
  return edited.result === 'success' ? edited.ended.tokens.access : -1
}

async function counted(end: () => Promise<unknown>): Promise<number> {
  const series = 'oauth_tokens_revoked_total{reason="client_request",token_type="access"}'
  const before = (await app.samples()).get(series) ?? 0
  await end()
  return ((await app.samples()).get(series) ?? 0) - before
}

async function exchange(
  { nodes, holders }: World,
  { node, by, writes }: { node: number; by: number; writes: boolean },
): Promise<number> {
  const parent = at(nodes, node)
  const holder = at(holders, by)
  const response = await postToken(app, {
    grant_type: grantType,
    subject_token: parent.token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    ...shown(holder),
    ...(!writes && { scope: 'read' }),
  })
  const actors = parent.actors + (parent.holder === holder ? 0 : 1)
  const expected = parent.live && holder.active && actors <= 4
  expect(response.status === 200).toBe(expected)
  if (!expected) return 0
  const { access_token: token } = (await response.json()) as { access_token: string }
  const both = writes && parent.writes && holder.mayWrite
  nodes.push({ token, parent, holder, writes: both, actors, live: true })
  return 0
}

/** What ends by it, as it should. */
function model({ holders, nodes }: World, action: Action): number {
  if (action.do === 'exchange') return 0
  if (action.do === 'revoke') {
    const revoked = at(nodes, action.node)
    // A client that is switched off cannot ask.
    return revoked.holder.active ? endBelow(nodes, (node) => node === revoked) : 0
  }
  const holder = at(holders, action.by)
  const [first] = holders
  const rests = (node: Node) => node.holder === holder || holder === first
  if (action.do === 'narrow') {
    const narrows = holder.mayWrite
    holder.mayWrite = false
    return narrows ? endBelow(nodes, (node) => node.writes && rests(node)) : 0
  }
  if (action.do === 'deactivate') holder.active = false
  return endBelow(nodes, rests)
}

function endBelow(nodes: readonly Node[], isRoot: (node: Node) => boolean): number {
  const ending = nodes.filter((node) => node.live && withParents(node).some(isRoot))
  for (const node of ending) node.live = false
  return ending.length
}

const withParents = (node: Node): Node[] =>
  node.parent ? [node, ...withParents(node.parent)] : [node]

/** In the order in which they were issued. */
async function liveRows({ nodes }: World): Promise<string[]> {
  const [{ token }] = nodes
  const [root] = await app.database.db
    .select()
    .from(tokens)
    .where(eq(tokens.id, idOf(token)))
  const rows = await app.database.db
    .select({ id: tokens.id })
    .from(tokens)
    .where(and(eq(tokens.familyId, root?.familyId ?? ''), isNull(tokens.revokedAt)))
  const live = new Set(rows.map(({ id }) => id))
  return nodes.map((node) => idOf(node.token)).filter((id) => live.has(id))
}
