/** What this machine calls itself. Who reaches an address of it is on it already. */
import { BlockList, isIP } from 'node:net'

const addresses = new BlockList()
addresses.addSubnet('127.0.0.0', 8, 'ipv4')
addresses.addAddress('::1', 'ipv6')

/** Whether an IP address is this machine itself. */
export const isLoopbackAddress = (address: string): boolean => {
  const family = isIP(address)
  return family !== 0 && addresses.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** Whether a host, as a connection names it, is this machine. */
export const isLoopbackHost = (host: string): boolean =>
  host === 'localhost' || isLoopbackAddress(host)

/** The hosts of URLs to which clients on the machine itself may be sent over plain http: those of RFC 8252 §7.3 and §8.3, none else. */
export const loopbackUrlHosts: readonly string[] = ['127.0.0.1', '[::1]', 'localhost']
