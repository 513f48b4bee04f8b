/** What Postgres cannot store is refused where it comes in, by one rule, however it is written. */
import fc from 'fast-check'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { parseAnswer } from '#/domain/external-api/answer.ts'
import { parseClaimsRequest } from '#/protocol/claims.ts'
import { OAuthError } from '#/protocol/errors.ts'
import { isStorable, isStorableValue, parseJson } from '#/protocol/storable.ts'
import { safePath } from '#/web/guards/safe-path.ts'
import { refuseUnstorableAddress } from '#/web/guards/storable.ts'
import type { AppEnv } from '#/web/request/context.ts'
import { readFields } from '#/web/request/forms.ts'

/** Half characters, NUL and what looks like an escape among them, each often enough to be met. */
const unit = fc.oneof(
  fc.constantFrom('\0', '\ud800', '\udc00', '%00', '\\u0000', '%', '😀'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
)
const text = fc.string({ unit, maxLength: 6 })

/** What Postgres does, in the words of the encoding itself (RFC 3629 §3). */
const survives = (value: string) =>
  Buffer.from(value, 'utf8').toString('utf8') === value && !Buffer.from(value).includes(0)

const app = new Hono<AppEnv>()
  .use(refuseUnstorableAddress)
  .get('/page/*', (c) => c.json([decodeURIComponent(c.req.path), ...Object.values(c.req.query())]))
  .post('/form', async (c) => c.json([...(await readFields(c))].flat()))
  .onError((error, c) => c.json(error instanceof OAuthError ? error.code : 'a bug', 400))

describe('text that can be stored', () => {
  it('is text that UTF-8 can write, without NUL', () => {
    fc.assert(fc.property(text, (value) => isStorable(value) === survives(value)))
  })

  it('is all that a value of JSON holds, however deep, or it is refused', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3, stringUnit: unit }), (json) => {
        const all = textsOf(json).every(survives)
        expect(isStorableValue(json)).toBe(all)
        const written = JSON.stringify(json)
        if (all) expect(parseJson(written)).toEqual(JSON.parse(written))
        else expect(() => parseJson(written)).toThrow()
      }),
    )
  })

  it('is what claims and the answers of an API hold, or they are none', () => {
    fc.assert(
      fc.property(text, (value) => {
        const claims = JSON.stringify({ id_token: { acr: { value }, [value]: null } })
        const answer = JSON.stringify({ success: true, user_id: 'u1', full_name: 'Ada', x: value })
        if (survives(value)) {
          expect(parseClaimsRequest(claims, 'openid').id_token).toMatchObject({ acr: { value } })
          expect(parseAnswer(200, answer)).toMatchObject({ subject: 'u1' })
        } else {
          expect(() => parseClaimsRequest(claims, 'openid')).toThrow(OAuthError)
          expect(parseAnswer(200, answer)).toBeUndefined()
        }
      }),
    )
  })

  it('is all that an address or a form lets through, whatever it is written with', async () => {
    const form = 'application/x-www-form-urlencoded'
    const answered = async (path: string, init?: RequestInit) => {
      const response = await app.request(path, init)
      const heard = (await response.json()) as string | string[]
      return { refused: response.status === 400, heard }
    }
    await fc.assert(
      fc.asyncProperty(text, fc.boolean(), async (value, raw) => {
        const encoded = encodeURIComponent(value.toWellFormed())
        const written = raw ? value.replaceAll(/[#&]/g, '') : encoded
        const answers = [
          await answered(`/page/x${encoded}`),
          await answered(`/page/x?v=${written}&${written}`),
          await answered('/form', {
            method: 'POST',
            body: `v=${written}&${written}=1`,
            headers: { 'content-type': form },
          }),
        ]
        for (const { refused, heard } of answers)
          if (refused) expect(heard).toBe('invalid_request')
          else expect([heard].flat().every(survives)).toBe(true)
        if (encoded.includes('%00') && !raw)
          expect(answers.every(({ refused }) => refused)).toBe(true)
      }),
    )
  })

  it('is what a path back holds, inside its query as well', () => {
    fc.assert(
      fc.property(text, (value) => {
        const back = safePath(`/oauth/authorize?id=${encodeURI(value.toWellFormed())}`, '/')
        const id = new URL(back, 'http://self.invalid').searchParams.get('id') ?? ''
        expect(survives(id)).toBe(true)
      }),
    )
  })
})

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) => [name, ...textsOf(member)])
}
