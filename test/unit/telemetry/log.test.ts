import { DrizzleQueryError } from 'drizzle-orm/errors'
import { describe, expect, it } from 'vitest'
import { createLog, type Log } from '#/telemetry/log.ts'
import { withTraceId } from '#/telemetry/trace-id.ts'

function logged(write: (log: Log) => void, level: 'info' | 'debug' = 'info') {
  const lines: string[] = []
  write(createLog({ level, destination: { write: (line) => void lines.push(line) } }))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('a log line', () => {
  it('is one JSON object with time, level in words and message', () => {
    const [line] = logged((log) => log.warn({ task: 'tokens' }, 'it failed'))
    expect(line).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      task: 'tokens',
      message: 'it failed',
    })
  })

  it('is left out below the level', () => {
    expect(logged((log) => log.debug('quiet'))).toEqual([])
    expect(logged((log) => log.debug('heard'), 'debug')).toHaveLength(1)
  })

  it('carries the trace id of the request it was written for, through awaits', async () => {
    const lines: string[] = []
    const log = createLog({
      level: 'info',
      destination: { write: (line) => void lines.push(line) },
    })
    const request = (id: string) =>
      withTraceId(id, async () => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        log.info({ id }, 'in a request')
      })
    await Promise.all([request('a'.repeat(32)), request('b'.repeat(32))])
    log.info('outside')
    const found = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(found.map((line) => line['trace_id'])).toEqual([
      'a'.repeat(32),
      'b'.repeat(32),
      undefined,
    ])
    for (const line of found.slice(0, 2)) expect(line['trace_id']).toBe(line['id'])
  })
})

const secret = 'S3CR3T-value'

describe('a secret never reaches the log', () => {
  it.each([
    'authorization',
    'Authorization',
    'proxy-authorization',
    'cookie',
    'set-cookie',
    'password',
    'current_password',
    'newPassword',
    'passwordHash',
    'token',
    'access_token',
    'refreshToken',
    'id_token',
    'csrf_token',
    'code',
    'device_code',
    'user_code',
    'code_verifier',
    'client_secret',
    'clientSecret',
    'SESSION_SECRET',
    'client_assertion',
    'seal',
    'privateKey',
  ])('as %s, at any depth', (name) => {
    const lines = logged((log) => {
      log.info({ [name]: secret }, 'flat')
      log.info({ request: { headers: { [name]: secret } } }, 'deep')
      log.info({ items: [{ [name]: [secret, { inner: secret }] }] }, 'in lists')
    })
    expect(lines).toHaveLength(3)
    expect(JSON.stringify(lines)).not.toContain(secret)
  })

  it.each(['url', 'path', 'redirect_uri', 'location', 'referer'])(
    'in the query of a %s',
    (name) => {
      const [line] = logged((log) => log.info({ [name]: `/callback?code=${secret}` }, 'x'))
      expect(JSON.stringify(line)).not.toContain(secret)
      expect(line?.[name]).toBe('/callback')
    },
  )

  it('in the parameters of a failed statement, its stack or its cause', () => {
    const cause = Object.assign(new Error('duplicate key'), { code: '23505', detail: secret })
    const error = new DrizzleQueryError('insert into tokens values ($1)', [secret], cause)
    const [line] = logged((log) => log.error({ err: error }, 'failed'))
    expect(JSON.stringify(line)).not.toContain(secret)
    expect(line?.['err']).toMatchObject({
      message: 'Failed query: insert into tokens values ($1)',
      stack: expect.stringContaining('    at '),
      cause: { message: 'duplicate key', code: '23505' },
    })
  })

  it('when it is deeper than anybody looks', () => {
    let object: Record<string, unknown> = { note: secret }
    for (let i = 0; i < 20; i += 1) object = { inner: object }
    expect(JSON.stringify(logged((log) => log.info(object, 'deep')))).not.toContain(secret)
  })
})

describe('what is no secret stays readable', () => {
  it('such as counts, kinds and error codes', () => {
    const fields = {
      tokens: 3,
      token_type: 'access',
      grant_type: 'authorization_code',
      statusCode: 404,
      error: 'invalid_grant',
      route: '/oauth/token',
    }
    const [line] = logged((log) => log.info(fields, 'x'))
    expect(line).toMatchObject(fields)
  })

  it('such as the code and frames of an error', () => {
    const error = Object.assign(new Error('connect failed'), { code: 'ECONNREFUSED' })
    const [line] = logged((log) => log.error({ err: error }, 'x'))
    expect(line?.['err']).toMatchObject({
      type: 'Error',
      message: 'connect failed',
      code: 'ECONNREFUSED',
    })
  })
})
