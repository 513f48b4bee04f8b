import { BlockList, isIP } from 'node:net'
import { isLoopbackAddress } from '#/protocol/loopback.ts'

/** Networks that a name on the internet has no business to lead to: our own machine, its neighbours, its cloud's metadata. */
const closedNetworks: readonly (readonly [network: string, prefix: number])[] = [
  // RFC 6890 and its registry: this network, private use, shared, loopback, link-local, protocol, documentation, benchmark.
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  // Multicast, reserved, broadcast.
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // Unspecified, loopback, IPv4-compatible; local NAT64; Teredo and others; documentation; 6to4.
  ['::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  // Unique local, link-local and the old site-local, multicast.
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
]

const closed = new BlockList()
for (const [network, prefix] of closedNetworks)
  closed.addSubnet(network, prefix, isIP(network) === 6 ? 'ipv6' : 'ipv4')

/** Whether an IP address is one of the public internet. */
export const isPublicAddress = (address: string): boolean =>
  isIP(address) !== 0 && !isClosed(unwrapped(address))

/** Whether an IP address, also as IPv6 wraps it, is this machine itself. */
export const isOwnAddress = (address: string): boolean => isLoopbackAddress(unwrapped(address))

const isClosed = (address: string) => closed.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** An IPv6 address that only wraps an IPv4 one is judged by that (RFC 4291 §2.5.5.2, RFC 6052 §2.1). */
function unwrapped(address: string): string {
  if (isIP(address) !== 6) return address
  const wrapped = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical(address))
  if (!wrapped) return address
  const bits = wrapped.slice(1).map((group) => Number.parseInt(group, 16))
  return bits.flatMap((group) => [group >> 8, group & 255]).join('.')
}

/** The one way the URL standard writes an IPv6 address; a zone index is dropped. */
const canonical = (address: string) =>
  new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
