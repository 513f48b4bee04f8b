/** Who is asking: forwarded addresses are believed from trusted proxies only, since anybody can write the header. */
import { type BlockList, isIP } from 'node:net'
import type { AppContext } from './context.ts'

/** The nearest address that is not a trusted proxy, read from the right of `X-Forwarded-For`. */
export function clientAddress(c: AppContext, trusted: BlockList): string {
  const peer = peerAddress(c)
  if (!isTrusted(peer, trusted)) return peer
  const hops = (c.req.header('x-forwarded-for') ?? '').split(',').map((hop) => plain(hop.trim()))
  for (const hop of hops.reverse()) {
    // Beyond a hop that is no address nothing can be believed.
    if (isIP(hop) === 0) return peer
    if (!isTrusted(hop, trusted)) return hop
  }
  return peer
}

/**
 * What an address counts as where requests are limited: itself, or the /64 of an IPv6 address, since whoever has one
 * address of such a network has all of them.
 */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? []
  const left = head === '' ? [] : head.split(':')
  const right = tail ? tail.split(':') : []
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  const groups = tail === undefined ? left : [...left, ...zeros, ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

export const isFromTrustedProxy = (c: AppContext, trusted: BlockList): boolean =>
  isTrusted(peerAddress(c), trusted)

const peerAddress = (c: AppContext) => plain(c.env?.incoming?.socket.remoteAddress ?? 'unknown')

/** IPv4 as seen by a dual-stack socket. */
const plain = (address: string) => (address.startsWith('::ffff:') ? address.slice(7) : address)

const isTrusted = (address: string, trusted: BlockList) => {
  const version = isIP(address)
  return version !== 0 && trusted.check(address, version === 6 ? 'ipv6' : 'ipv4')
}
