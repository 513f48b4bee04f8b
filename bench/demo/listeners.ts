/** Apps that want to hear of a sign-out (OIDC Back-Channel Logout): told at once, or again if they were not listening. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { allScopes } from './apps.ts'
import { arrive, signOut } from './people.ts'
import { registerApp } from './registration.ts'
import { letIn, type Scenario } from './scenarios.ts'
import { did, expectThat, type World } from './world.ts'

const callback = 'https://news.example.test/callback'

/** Answers each letter with the next of the statuses, the last one again and again. */
async function listen(statuses: readonly number[]) {
  let heard = 0
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      response.writeHead(statuses[Math.min(heard, statuses.length - 1)] ?? 200).end()
      heard += 1
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/signed-out`,
    heard: () => heard,
    close: () => void server.close(),
  }
}

/** Failed letters are sent again after ten to fifteen seconds. */
const patienceMs = 30_000

const newsReader =
  (statuses: readonly number[]): Scenario =>
  async (world, person) => {
    const listener = await listen(statuses)
    try {
      const { client_id, client_secret } = await registerApp(world, {
        client_name: 'News',
        redirect_uris: [callback],
        grant_types: ['authorization_code', 'refresh_token'],
        scope: allScopes,
        backchannel_logout_uri: listener.url,
      })
      const app = { clientId: client_id, secret: client_secret ?? '', redirectUri: callback }
      const browser = await arrive(world, person)
      await letIn(world, person, browser, app)
      await signOut(world, person, browser)
      const deadline = performance.now() + patienceMs
      while (listener.heard() < statuses.length && performance.now() < deadline) await sleep(100)
      expectThat(listener.heard() === statuses.length, 'an app did not hear of a sign-out')
      for (const status of statuses) told(world, status === 200)
    } finally {
      listener.close()
    }
  }

function told(world: World, heard: boolean) {
  const purpose = 'backchannel_logout'
  did(world, 'authgate_outbound_requests_total', { purpose, result: heard ? 'success' : 'failed' })
  did(world, 'authgate_outbound_request_duration_seconds_count', { purpose })
  did(world, 'authgate_logout_deliveries_total', { result: heard ? 'delivered' : 'retried' })
  if (heard) did(world, 'authgate_logout_delivery_duration_seconds_count')
}

export const listeners: readonly Scenario[] = [newsReader([200]), newsReader([500, 200])]
