/** Who is asking: forwarded addresses are believed from trusted proxies only, since anybody can write the header. */
import { type BlockList, isIP } from 'node:net'
import type { AppContext } from './context.ts'

/** The nearest address that is not a trusted proxy, read from the right of `X-Forwarded-For`. */
export function clientAddress(c: AppContext, trusted: BlockList): string {
  const peer = peerAddress(c)
  if (!isTrusted(peer, trusted)) return peer
  const hops = (c.req.header('x-forwarded-for') ?? '').split(',').map((hop) => bare(hop.trim()))
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
export const networkOf = (address: string): string => networksOf(address)[0].network

/** A network that an address belongs to, and how much more it may do than a single address. */
interface Step {
  readonly network: string
  readonly factor: number
}

/**
 * The networks of an address from the narrowest to the widest. Providers hand out an IPv6 /56 or /48 as easily as a
 * single IPv4 address (RFC 6177), and a /24 is the least that is routed.
 */
export function networksOf(address: string): readonly [Step, ...Step[]] {
  const version = isIP(address)
  if (version === 0) return [{ network: address, factor: 1 }]
  if (version === 4)
    return [
      { network: address, factor: 1 },
      { network: `${address.slice(0, address.lastIndexOf('.'))}.0/24`, factor: 4 },
    ]
  const [a = 0, b = 0, c = 0, d = 0] = groupsOf(address)
  const hex = (...groups: number[]) => groups.map((group) => group.toString(16)).join(':')
  return [
    { network: `${hex(a, b, c, d)}::/64`, factor: 1 },
    { network: `${hex(a, b, c, d & 0xff00)}::/56`, factor: 2 },
    { network: `${hex(a, b, c)}::/48`, factor: 4 },
  ]
}

/** The widest of them. */
export const widestNetworkOf = (address: string): string =>
  networksOf(address).at(-1)?.network ?? address

function groupsOf(address: string): number[] {
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? []
  const left = head === '' ? [] : head.split(':')
  const right = tail ? tail.split(':') : []
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  return (tail === undefined ? left : [...left, ...zeros, ...right]).map((group) =>
    Number.parseInt(group, 16),
  )
}

export const isFromTrustedProxy = (c: AppContext, trusted: BlockList): boolean =>
  isTrusted(peerAddress(c), trusted)

const peerAddress = (c: AppContext) => plain(c.env?.incoming?.socket.remoteAddress ?? 'unknown')

/** Some proxies write the port, too: `203.0.113.9:51234`, `[2001:db8::1]:443`. */
function bare(hop: string): string {
  const [, bracketed, v4] =
    /^(?:\[([0-9a-f:.]+(?:%\w+)?)\](?::\d{1,5})?|(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5})$/i.exec(hop) ??
    []
  return plain(bracketed ?? v4 ?? hop)
}

/** IPv4 as seen by a dual-stack socket. */
const plain = (address: string) => (/^::ffff:\d+\./i.test(address) ? address.slice(7) : address)

const isTrusted = (address: string, trusted: BlockList) => {
  const version = isIP(address)
  return version !== 0 && trusted.check(address, version === 6 ? 'ipv6' : 'ipv4')
}
