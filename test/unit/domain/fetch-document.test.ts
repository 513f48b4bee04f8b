import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createFetchDocument, type FetchOptions } from '#/domain/outbound/fetch-document.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function listen(server: Server): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const serve = async (handle: RequestListener) =>
  `http://localhost:${await listen(createHttpServer(handle))}`

function open(more: Partial<FetchOptions> = {}) {
  const recorded: [string, string][] = []
  const fetchDocument = createFetchDocument({
    privateAddresses: false,
    recorder: {
      outboundRequested(purpose, result, seconds) {
        expect(seconds).toBeGreaterThanOrEqual(0)
        recorded.push([purpose, result])
      },
    },
    ...more,
  })
  return { fetchDocument, recorded }
}

const at = (address: string) => async () => [{ address, family: 4 }]

it('gets a text and its media type', async () => {
  const url = await serve((request, response) => {
    response.setHeader('content-type', 'Application/JSON; charset=utf-8')
    response.end(JSON.stringify([request.method, request.url, request.headers.accept]))
  })
  const { fetchDocument, recorded } = open({ privateAddresses: true })
  const request = { purpose: 'jwks', url: `${url}/keys?a=b#c`, accept: 'application/json' } as const
  expect(await fetchDocument(request)).toEqual({
    text: '["GET","/keys?a=b","application/json"]',
    contentType: 'application/json',
  })
  expect(recorded).toEqual([['jwks', 'success']])
})

it('posts a form, and takes an empty answer', async () => {
  const seen: string[] = []
  const url = await serve(async (request, response) => {
    seen.push(request.method ?? '', request.headers['content-type'] ?? '')
    for await (const part of request) seen.push(String(part))
    response.writeHead(204).end()
  })
  const { fetchDocument, recorded } = open({ privateAddresses: true })
  const form = { logout_token: 'a.b&c' }
  expect(await fetchDocument({ purpose: 'backchannel_logout', url, form })).toEqual({
    text: '',
    contentType: undefined,
  })
  expect(seen).toEqual(['POST', 'application/x-www-form-urlencoded', 'logout_token=a.b%26c'])
  expect(recorded).toEqual([['backchannel_logout', 'success']])
})

const closed: [string, string, Partial<FetchOptions>?][] = [
  ['plain http', 'http://example.test/', { resolve: at('1.1.1.1') }],
  ['plain http on this machine', 'http://127.0.0.1/'],
  ['plain http elsewhere, on a closed network', 'http://10.0.0.1/', { privateAddresses: true }],
  ['a file', 'file:///etc/passwd', { privateAddresses: true }],
  ['data', 'data:application/json,{}', { privateAddresses: true }],
  ['no address', 'x', { privateAddresses: true }],
  ['a user in the address', 'https://user@example.test/', { resolve: at('1.1.1.1') }],
  ['a password in the address', 'https://:x@example.test/', { resolve: at('1.1.1.1') }],
  ['loopback', 'https://127.0.0.1/'],
  ['loopback in short', 'https://127.1/'],
  ['loopback as one number', 'https://2130706433/'],
  ['loopback in hexadecimal', 'https://0x7f.0.0.1/'],
  ['loopback of IPv6', 'https://[::1]/'],
  ['a mapped loopback', 'https://[::ffff:127.0.0.1]/'],
  ['the metadata of a cloud', 'https://169.254.169.254/latest/meta-data'],
  ['a name of this machine', 'https://localhost/'],
  ['a name that leads inside', 'https://example.test/', { resolve: at('10.0.0.1') }],
  [
    'a name that leads inside among others',
    'https://example.test/',
    {
      resolve: async () => [
        { address: '1.1.1.1', family: 4 },
        { address: 'fd00::1', family: 6 },
      ],
    },
  ],
]
it.each(closed)('refuses %s without a connection', async (_, url, more = {}) => {
  const { fetchDocument, recorded } = open(more)
  await expect(fetchDocument({ purpose: 'request_object', url })).rejects.toMatchObject({
    name: 'OutboundError',
    result: 'refused',
  })
  expect(recorded).toEqual([['request_object', 'refused']])
})

it('connects to the very address that was judged, by TLS and under the name that was asked for', async () => {
  const hello = Promise.withResolvers<string>()
  const port = await listen(
    createTcpServer((socket) => {
      socket.once('data', (data) => {
        hello.resolve(data.toString('latin1'))
        socket.destroy()
      })
    }),
  )
  const answers = ['127.0.0.1', '10.0.0.1']
  const { fetchDocument, recorded } = open({
    privateAddresses: true,
    // Whoever asked this name twice would be led elsewhere.
    resolve: async () => [{ address: answers.shift() ?? '', family: 4 }],
  })
  const url = `https://keys.example.test:${port}/`
  await expect(fetchDocument({ purpose: 'jwks', url })).rejects.toMatchObject({ result: 'failed' })
  const bytes = await hello.promise
  expect(bytes.charCodeAt(0)).toBe(0x16)
  expect(bytes).toContain('keys.example.test')
  expect(answers).toEqual(['10.0.0.1'])
  expect(recorded).toEqual([['jwks', 'failed']])
})

const failures: [string, RequestListener][] = [
  ['a redirect', (_, response) => response.writeHead(302, { location: 'http://localhost/' }).end()],
  ['not modified', (_, response) => response.writeHead(304).end()],
  ['an error', (_, response) => response.writeHead(400).end('no')],
  ['an endless answer', (_, response) => void response.write('x'.repeat(64 * 1024 + 1))],
  ['an answer that breaks off', (_, response) => response.write('x', () => response.destroy())],
  ['no answer', (request) => request.destroy()],
]
it.each(failures)('fails at %s', async (_, handle) => {
  let calls = 0
  const url = await serve((request, response) => {
    calls += 1
    return handle(request, response)
  })
  const { fetchDocument, recorded } = open({ privateAddresses: true })
  await expect(fetchDocument({ purpose: 'jwks', url })).rejects.toMatchObject({ result: 'failed' })
  expect(recorded).toEqual([['jwks', 'failed']])
  expect(calls).toBe(1)
})

it('takes 64 KiB', async () => {
  const url = await serve((_, response) => response.end('x'.repeat(64 * 1024)))
  const { fetchDocument } = open({ privateAddresses: true })
  expect((await fetchDocument({ purpose: 'jwks', url })).text).toHaveLength(64 * 1024)
})

it('fails at a name that is none', async () => {
  const { fetchDocument } = open()
  const url = 'https://does-not-exist.invalid/'
  await expect(fetchDocument({ purpose: 'jwks', url })).rejects.toMatchObject({ result: 'failed' })
})

it('gives up on an answer that does not come, or does not end, and on a name that takes too long', async () => {
  const silent = await serve(() => {})
  const endless = await serve((_, response) => void response.write('x'))
  const { fetchDocument, recorded } = open({ privateAddresses: true, timeoutMs: 100 })
  for (const url of [silent, endless])
    await expect(fetchDocument({ purpose: 'jwks', url })).rejects.toMatchObject({
      result: 'timeout',
    })
  const slow = open({ timeoutMs: 100, resolve: () => new Promise(() => {}) })
  await expect(
    slow.fetchDocument({ purpose: 'jwks', url: 'https://example.test/' }),
  ).rejects.toMatchObject({ result: 'timeout' })
  expect([...recorded, ...slow.recorded]).toEqual(Array(3).fill(['jwks', 'timeout']))
})
