import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '#/config/config.ts'
import {
  clientAddress,
  isFromTrustedProxy,
  networkOf,
  networksOf,
} from '#/web/request/client-address.ts'
import type { AppEnv } from '#/web/request/context.ts'

async function addressOf(
  remoteAddress: string | undefined,
  forwarded: string | undefined,
  proxies = '10.0.0.0/8, fd00::/8, 127.0.0.1',
) {
  const trusted = parseConfig({ TRUSTED_PROXIES: proxies }).server.trustedProxies
  const app = new Hono<AppEnv>().get('/', (c) =>
    c.json([clientAddress(c, trusted), isFromTrustedProxy(c, trusted)]),
  )
  const response = await app.request(
    '/',
    forwarded === undefined ? {} : { headers: { 'x-forwarded-for': forwarded } },
    { incoming: { socket: { remoteAddress } } as AppEnv['Bindings']['incoming'] },
  )
  return (await response.json()) as [string, boolean]
}

describe('the address of a client', () => {
  const cases: [string, string | undefined, string | undefined, string][] = [
    ['is the peer without a header', '203.0.113.1', undefined, '203.0.113.1'],
    ['is the peer when a stranger writes the header', '203.0.113.1', '198.51.100.1', '203.0.113.1'],
    ['is what a trusted proxy saw', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    [
      'is the nearest hop, not the one that the client made up',
      '10.0.0.1',
      '1.1.1.1, 198.51.100.1',
      '198.51.100.1',
    ],
    [
      'passes over a chain of trusted proxies',
      '10.0.0.1',
      '198.51.100.1, 10.0.0.2,10.0.0.3',
      '198.51.100.1',
    ],
    ['is the peer when all hops are proxies', '10.0.0.1', '10.0.0.2', '10.0.0.1'],
    [
      'is the peer when the nearest hop is no address',
      '10.0.0.1',
      '198.51.100.1, unknown',
      '10.0.0.1',
    ],
    ['is the peer when the header is empty', '10.0.0.1', '', '10.0.0.1'],
    ['may come with a port', '10.0.0.1', '198.51.100.1:51234', '198.51.100.1'],
    ['may come with a port in version 6', '10.0.0.1', '[2001:db8::1]:443', '2001:db8::1'],
    ['may come in brackets alone', '10.0.0.1', '[2001:db8::1]', '2001:db8::1'],
    ['passes over proxies with ports', '10.0.0.1', '1.1.1.1:5, 10.0.0.2:80', '1.1.1.1'],
    ['is the peer when a port is none', '10.0.0.1', '198.51.100.1:x', '10.0.0.1'],
    ['is the peer when brackets hold no address', '10.0.0.1', '[198.51.100]:80', '10.0.0.1'],
    ['is the peer when the header holds markup', '10.0.0.1', '<script>', '10.0.0.1'],
    ['is of version 6 as well', 'fd00::1', '2001:db8::1', '2001:db8::1'],
    ['is of version 4 on a dual-stack socket', '::ffff:203.0.113.1', undefined, '203.0.113.1'],
    [
      'knows a proxy on a dual-stack socket',
      '::ffff:10.0.0.1',
      '::ffff:198.51.100.1',
      '198.51.100.1',
    ],
    ['is unknown without a socket', undefined, '198.51.100.1', 'unknown'],
  ]
  it.each(cases)('%s', async (_, peer, forwarded, address) => {
    expect((await addressOf(peer, forwarded))[0]).toBe(address)
  })

  it('believes nobody unless told to', async () => {
    expect(await addressOf('127.0.0.1', '198.51.100.1', '')).toEqual(['127.0.0.1', false])
    expect(await addressOf('127.0.0.1', '198.51.100.1')).toEqual(['198.51.100.1', true])
    expect((await addressOf(undefined, undefined))[1]).toBe(false)
  })
})

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001::9', '2001:db8:1:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
  ['unknown', 'unknown'],
])('counts %s as %s where requests are limited', (address, network) => {
  expect(networkOf(address)).toBe(network)
})

it.each([
  ['192.0.2.7', ['192.0.2.7 x1', '192.0.2.0/24 x4']],
  ['2001:db8:1:2a3::9', ['2001:db8:1:2a3::/64 x1', '2001:db8:1:200::/56 x2', '2001:db8:1::/48 x4']],
  ['unknown', ['unknown x1']],
])('counts %s in steps', (address, steps) => {
  expect(networksOf(address).map(({ network, factor }) => `${network} x${factor}`)).toEqual(steps)
})
