import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { OAuthError } from '#/protocol/errors.ts'
import type { AppEnv } from '#/web/request/context.ts'
import { readFields, readForm, uniqueParameters } from '#/web/request/forms.ts'

async function read(body: string, type = 'application/x-www-form-urlencoded') {
  const app = new Hono<AppEnv>()
    .post('/form', async (c) => c.json([...(await readForm(c))]))
    .post('/fields', async (c) => c.json([...(await readFields(c))]))
    .onError((error, c) => c.json({ refused: error instanceof OAuthError && error.message }))
  const send = async (path: string) =>
    (await app.request(path, { method: 'POST', body, headers: { 'content-type': type } })).json()
  return { form: await send('/form'), fields: await send('/fields') }
}

describe('forms', () => {
  it('read each field once and leave out the empty ones', async () => {
    const { form, fields } = await read('a=1&b=&c=+%2B%20x&d')
    expect(form).toEqual([
      ['a', '1'],
      ['c', ' + x'],
    ])
    expect(fields).toHaveLength(4)
  })

  it('may repeat a field only where somebody asks for that', async () => {
    const { form, fields } = await read('scope=a&scope=b')
    expect(form).toEqual({ refused: 'scope is repeated' })
    expect(fields).toEqual([
      ['scope', 'a'],
      ['scope', 'b'],
    ])
  })

  it('hold no NUL, which Postgres could not store', async () => {
    const refused = { refused: 'name contains a NUL character' }
    expect(await read('name=a%00b')).toEqual({ form: refused, fields: refused })
  })

  it.each([
    'application/json',
    'text/plain',
    'multipart/form-data',
    'application/x-www-form-urlencodedx',
    '',
  ])('are not of the type %j', async (type) => {
    const refused = { refused: 'the body must be application/x-www-form-urlencoded' }
    expect(await read('a=1', type)).toEqual({ form: refused, fields: refused })
  })

  it('name a repeated parameter only when its name may stand in an error', () => {
    const messageFor = (name: string) => {
      try {
        uniqueParameters(
          new URLSearchParams([
            [name, ''],
            [name, ''],
          ]),
        )
        return undefined
      } catch (error) {
        return error instanceof OAuthError ? [error.code, error.message] : error
      }
    }
    expect(messageFor('code')).toEqual(['invalid_request', 'code is repeated'])
    for (const hostile of ['<b>', '"', 'a\r\nb', 'x'.repeat(41), '', 'é'])
      expect(messageFor(hostile)).toEqual(['invalid_request', 'a parameter is repeated'])
  })

  it('take names that objects know for names like any other', () => {
    const read = uniqueParameters(new URLSearchParams('__proto__=1&constructor=2&toString=3'))
    expect([...read]).toEqual([
      ['__proto__', '1'],
      ['constructor', '2'],
      ['toString', '3'],
    ])
  })
})
