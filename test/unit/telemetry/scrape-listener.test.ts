import { request } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { limitGuesses } from '#/boot/telemetry.ts'
import { createRecorder } from '#/telemetry/recorder.ts'
import {
  type ScrapeListener,
  type ScrapeOptions,
  startScrapeListener,
} from '#/telemetry/scrape-listener.ts'
import { rememberingLog, testMetrics } from './metrics-support.ts'

const open: ScrapeListener[] = []
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close()
})

async function listen(options: Partial<ScrapeOptions> = {}) {
  const listener = await startScrapeListener({
    host: '127.0.0.1',
    port: 0,
    token: undefined,
    collect: async () => 'sessions_active 3\n',
    ...options,
  })
  open.push(listener)
  return `http://127.0.0.1:${listener.port}`
}

const get = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(url, { headers, method })

/** Without a client that decodes what it gets. */
const raw = (url: string, headers: Record<string, string>) =>
  new Promise<{ encoding: string | undefined; body: Buffer }>((resolve, reject) => {
    request(url, { headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({ encoding: response.headers['content-encoding'], body: Buffer.concat(chunks) }),
      )
    })
      .on('error', reject)
      .end()
  })

describe('the exporter port', () => {
  it('answers GET /metrics as Prometheus text', async () => {
    const response = await get(`${await listen()}/metrics`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.text()).toBe('sessions_active 3\n')
  })

  it('holds back whoever guesses the token, says so in the log, and never a scrape that knows it', async () => {
    const log = rememberingLog()
    const token = 'a token of sixteen'.replaceAll(' ', '-')
    const wrong: string[] = []
    const onWrongToken = (address: string) => wrong.push(address)
    const url = `${await listen({ token, guess: limitGuesses(), onWrongToken, log })}/metrics`
    const scrape = async (by: string) => (await get(url, { authorization: `Bearer ${by}` })).status
    for (let n = 0; n < 15; n += 1) expect(await scrape(token)).toBe(200)
    for (let n = 0; n < 10; n += 1) expect(await scrape(`guess-${n}`)).toBe(401)
    expect([await scrape('guess'), await scrape('guess')]).toEqual([429, 429])
    // Without a token nobody guesses.
    expect((await get(url)).status).toBe(401)
    const messages = log.lines.map(({ message }) => message)
    expect(wrong).toEqual(Array(10).fill('127.0.0.1'))
    expect(
      messages.filter((message) => message === 'repeated wrong values of METRICS_TOKEN'),
    ).toHaveLength(1)
    expect(JSON.stringify(log.lines)).not.toContain('guess-')
  })

  it('answers HEAD without a body', async () => {
    const response = await get(`${await listen()}/metrics`, {}, 'HEAD')
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
  })

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('refuses %s', async (method) => {
    const response = await get(`${await listen()}/metrics`, {}, method)
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, HEAD')
  })

  it.each(['/', '/metrics/', '/metrics/x', '/METRICS', '/livez', '//metrics'])(
    'knows no %s',
    async (path) => {
      expect((await get(`${await listen()}${path}`)).status).toBe(404)
    },
  )

  it('serves real metrics', async () => {
    const metrics = testMetrics()
    createRecorder(metrics.meter).sessionStarted()
    const response = await get(`${await listen({ collect: metrics.collect })}/metrics`)
    expect(await response.text()).toContain('sessions_created_total 1\n')
  })

  it('refuses to start where somebody else listens', async () => {
    const port = Number(new URL(await listen()).port)
    await expect(
      startScrapeListener({ host: '127.0.0.1', port, token: undefined, collect: async () => '' }),
    ).rejects.toThrow(/EADDRINUSE/)
  })

  it('closes even while a scrape hangs', async () => {
    const listener = await startScrapeListener({
      host: '127.0.0.1',
      port: 0,
      token: undefined,
      collect: () => new Promise(() => undefined),
    })
    const scrape = get(`http://127.0.0.1:${listener.port}/metrics`).catch(() => 'cut off')
    await new Promise((resolve) => setTimeout(resolve, 50))
    const start = performance.now()
    await listener.close()
    expect(performance.now() - start).toBeLessThan(2000)
    expect(await scrape).toBe('cut off')
  })
})

describe('compression', () => {
  it.each(['gzip', 'deflate, gzip;q=0.5', 'br;q=1, GZIP', 'gzip;q=1.0'])(
    'is used for "%s"',
    async (accepted) => {
      const { encoding, body } = await raw(`${await listen()}/metrics`, {
        'accept-encoding': accepted,
      })
      expect(encoding).toBe('gzip')
      expect(gunzipSync(body).toString()).toBe('sessions_active 3\n')
    },
  )

  it.each(['', 'br', 'identity', 'gzip;q=0', 'gzip; q=0.000', 'xgzip'])(
    'is not used for "%s"',
    async (accepted) => {
      const { encoding, body } = await raw(`${await listen()}/metrics`, {
        'accept-encoding': accepted,
      })
      expect(encoding).toBeUndefined()
      expect(body.toString()).toBe('sessions_active 3\n')
    },
  )
})

describe('with a token', () => {
  const token = 'a-token-of-some-length'

  it('lets in who shows it', async () => {
    const url = `${await listen({ token })}/metrics`
    expect((await get(url, { authorization: `Bearer ${token}` })).status).toBe(200)
    expect((await get(url, { authorization: `bearer ${token}` })).status).toBe(200)
  })

  it.each([
    ['none', undefined],
    ['an empty one', 'Bearer '],
    ['a wrong one', 'Bearer wrong'],
    ['one of the same length', `Bearer ${'b'.repeat(token.length)}`],
    ['a longer one', `Bearer ${token}x`],
    ['a shorter one', `Bearer ${token.slice(0, -1)}`],
    ['two words', `Bearer ${token} ${token}`],
    ['another scheme', `Basic ${Buffer.from(`x:${token}`).toString('base64')}`],
    ['the bare token', token],
  ])('refuses %s with 401 and a challenge, and collects nothing', async (_, authorization) => {
    let collected = 0
    const collect = async () => {
      collected += 1
      return ''
    }
    const url = `${await listen({ token, collect })}/metrics`
    const response = await get(url, authorization === undefined ? {} : { authorization })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(await response.text()).not.toContain(token)
    expect(collected).toBe(0)
  })

  it('that is empty lets nobody in', async () => {
    const url = `${await listen({ token: '' })}/metrics`
    expect((await get(url)).status).toBe(401)
    expect((await get(url, { authorization: 'Bearer ' })).status).toBe(401)
  })
})

describe('when nothing can be collected', () => {
  it('answers 503 and says so in the log', async () => {
    const log = rememberingLog()
    const url = await listen({
      log,
      collect: () => Promise.reject(new Error('reader is shut down')),
    })
    expect((await get(`${url}/metrics`)).status).toBe(503)
    expect(log.lines).toHaveLength(1)
  })

  it('answers 503 in time when the collection hangs', async () => {
    const url = await listen({ collect: () => new Promise(() => undefined), collectTimeoutMs: 200 })
    const start = performance.now()
    expect((await get(`${url}/metrics`)).status).toBe(503)
    expect(performance.now() - start).toBeLessThan(2000)
  })
})
