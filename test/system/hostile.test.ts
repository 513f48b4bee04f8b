/** What no client library would send, on the wire of the real server: it is refused, changes no series, and hurts nobody. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBrowser } from '../support/browser.ts'
import { createHome, type Home, type ServerProcess } from '../support/process.ts'

let home: Home
let server: ServerProcess
beforeAll(async () => {
  home = await createHome()
  server = await home.start()
})
afterAll(() => home.remove())

/** Writes bytes and answers what comes back until the server closes, or is silent for a while. */
function exchange(bytes: string | Buffer): Promise<string> {
  const { port } = new URL(server.url)
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = connect({ port: Number(port), host: '127.0.0.1' })
  let answer = ''
  const done = () => {
    socket.destroy()
    resolve(answer)
  }
  socket.setEncoding('latin1').setTimeout(1000, done)
  socket.on('data', (text) => {
    answer += text
  })
  socket.on('error', done).on('close', done)
  socket.write(bytes)
  return promise
}

/** All series but those of the garbage collector, whose first collection of a kind comes when it comes. */
const requestSeries = async (): Promise<string[]> =>
  [...(await server.samples()).keys()].filter((series) => !series.startsWith('v8js_gc_'))

/** The status lines of all answers on the connection. */
const statusesOf = (answer: string) =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))

const request = (line: string, ...headers: string[]) =>
  `${[line, 'Host: id.example.test', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`

const oneBody = 'grant_type=x&client_id=x'
const hostile: Record<string, string | Buffer> = {
  'no HTTP at all': 'hello\r\n\r\n',
  'a TLS handshake': Buffer.from('160301020001000001fc0303', 'hex'),
  'a version that does not exist': request('GET /login HTTP/9.9'),
  'no host': 'GET /login HTTP/1.1\r\nConnection: close\r\n\r\n',
  'a host that is none': 'GET /login HTTP/1.1\r\nHost: a b<c>\r\nConnection: close\r\n\r\n',
  'two hosts': request('GET /login HTTP/1.1', 'Host: evil.test'),
  'a method that does not exist': request('BREW /login HTTP/1.1'),
  'an absolute address of another site': request('GET http://evil.test/login HTTP/1.1'),
  'an address with a user in it': request('GET http://user:pw@evil.test/login HTTP/1.1'),
  'an address of two slashes': request('GET //evil.test/login HTTP/1.1'),
  'an address with a broken percent sign': request('GET /%zz/%c0%ae HTTP/1.1'),
  'an asterisk': request('OPTIONS * HTTP/1.1'),
  'a tunnel': request('CONNECT evil.test:443 HTTP/1.1'),
  'an upgrade': request('GET /login HTTP/1.1', 'Upgrade: websocket', 'Sec-WebSocket-Key: x'),
  'a header with a NUL': request('GET /login HTTP/1.1', 'X-A: a\0b'),
  'a header of 64 KiB': request('GET /login HTTP/1.1', `X-A: ${'a'.repeat(65_536)}`),
  'an address of 64 KiB': request(`GET /${'a'.repeat(65_536)} HTTP/1.1`),
  'two lengths': request('POST /oauth/token HTTP/1.1', 'Content-Length: 1', 'Content-Length: 2'),
  'a length and chunks, to smuggle a request': `${request('POST /oauth/token HTTP/1.1', 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n`,
  'a negative length': request('POST /oauth/token HTTP/1.1', 'Content-Length: -1'),
  'a length beyond the limit': request('POST /login HTTP/1.1', 'Content-Length: 99999999999'),
  'chunks that are none': `${request('POST /oauth/token HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\n`,
  'an encoding nobody asked for': `${request('POST /oauth/token HTTP/1.1', 'Content-Encoding: gzip', 'Content-Type: application/x-www-form-urlencoded', `Content-Length: ${oneBody.length}`)}${oneBody}`,
  'a body that breaks off': `${request('POST /oauth/token HTTP/1.1', 'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 1000')}grant`,
  'cookies that are none': request(
    'GET /account/devices HTTP/1.1',
    'Cookie: ;;=; oauth_session; oauth_session="%"; =x',
  ),
  'a Bearer token of 8 KiB': request(
    'GET /oauth/userinfo HTTP/1.1',
    `Authorization: Bearer ${'a'.repeat(8192)}`,
  ),
}

describe('hostile bytes', () => {
  it('are refused, add no series after the first of each kind, and leave the server as it was', async () => {
    const { username, password } = home.credentials()
    const browser = openBrowser(server)
    await browser.signIn(username, { password })
    for (const bytes of Object.values(hostile)) await exchange(bytes)
    const before = new Set(await requestSeries())
    for (const [what, bytes] of Object.entries(hostile)) {
      const answer = await exchange(bytes)
      const statuses = statusesOf(answer)
      // An answer to each at most, and none that blames ourselves or lets anybody in.
      expect(statuses.length, what).toBeLessThanOrEqual(1)
      for (const status of statuses) expect(status, what).toBeLessThan(500)
      expect(answer, what).not.toMatch(/location: (https?:)?\/\/(?!localhost)/i)
      expect(answer, what).not.toContain('node:internal')
    }
    expect((await requestSeries()).filter((series) => !before.has(series))).toEqual([])
    expect((await browser.get('/account/devices')).status).toBe(200)
    expect(server.output()).not.toMatch(/"level":"(error|fatal)"/)
  })

  it('never reach the metrics on the public port, by whatever spelling', async () => {
    for (const path of [
      '/metrics',
      '/./metrics',
      '/x/../metrics',
      '//metrics',
      '/%6detrics',
      'http://127.0.0.1:9464/metrics',
    ])
      expect(statusesOf(await exchange(request(`GET ${path} HTTP/1.1`))), path).toEqual([404])
  })

  it('hold nobody up: connections that say nothing are only connections', async () => {
    const { port } = new URL(server.url)
    const idle = Array.from({ length: 200 }, () =>
      connect({ port: Number(port), host: '127.0.0.1' }),
    )
    for (const socket of idle) socket.on('error', () => {}).write('GET /login HTTP/1.1\r\nX-')
    expect((await server.request('/login')).status).toBe(200)
    for (const socket of idle) socket.destroy()
  })
})
