import { type AddressInfo, createServer } from 'node:net'

const given = new Set<number>()

/** A port of this machine that nobody listens on, and that no other caller of this process was given. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  if (given.has(port)) return freePort()
  given.add(port)
  return port
}
