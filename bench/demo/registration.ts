/** How apps register themselves (RFC 7591), are let in by the administrator, and leave again (RFC 7592). */
import { decideOnApp } from './admin.ts'
import { call } from './apps.ts'
import { did, expectThat, nextAddress, nextName, type World } from './world.ts'

export interface Registered {
  readonly client_id: string
  readonly client_secret?: string
  readonly registration_access_token: string
}

export type Metadata = Readonly<Record<string, unknown>>

/** It waits for the administrator. */
export async function registerPending(world: World, metadata: Metadata): Promise<Registered> {
  // Nobody may be called like somebody else.
  const client_name = nextName(String(metadata['client_name']))
  const answer = await postMetadata(world, JSON.stringify({ ...metadata, client_name }))
  expectThat(answer.status === 201, `registering answered ${answer.status}: ${answer.text}`)
  noteRegistration(world, 'created')
  noteClients(world, 'pending', 1)
  return JSON.parse(answer.text)
}

/** The administrator lets it in. */
export async function registerApp(world: World, metadata: Metadata): Promise<Registered> {
  const registered = await registerPending(world, metadata)
  await decideOnApp(world, registered.client_id, 'approve')
  return registered
}

export async function leave(
  world: World,
  registered: Registered,
  status: 'active' | 'pending' | 'inactive' = 'active',
): Promise<void> {
  const answer = await manage(world, registered, 'DELETE')
  expectThat(answer.status === 204, `leaving answered ${answer.status}`)
  noteRegistration(world, 'deleted')
  noteClients(world, status, -1)
}

const json = { 'content-type': 'application/json' }

export const postMetadata = (
  world: World,
  body: string,
  { headers = json, address = nextAddress() }: { headers?: typeof json; address?: string } = {},
) =>
  call(world, '/oauth/register', {
    method: 'POST',
    body,
    headers: { ...headers, 'x-forwarded-for': address },
  })

/** Asks about a registration, with the token that it came with. */
export const manage = (
  world: World,
  { client_id, registration_access_token }: Registered,
  method: 'GET' | 'PUT' | 'DELETE',
  metadata?: Metadata,
) =>
  call(world, `/oauth/register/${client_id}`, {
    method,
    headers: {
      ...json,
      authorization: `Bearer ${registration_access_token}`,
      'x-forwarded-for': nextAddress(),
    },
    ...(metadata && { body: JSON.stringify({ client_id, ...metadata }) }),
  })

export const noteRegistration = (world: World, result: string) =>
  did(world, 'authgate_client_registrations_total', { result })

export const noteClients = (world: World, status: string, change: number) =>
  did(world, 'authgate_oauth_clients_registered', { status }, change)
