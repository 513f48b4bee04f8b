/** GET /.well-known/security.txt (RFC 9116): whom to notify of a vulnerability. Without a contact there is no such file. */
import { Hono } from 'hono'
import type { AppContext, AppEnv } from '#/web/request/context.ts'

export interface SecurityTxtOptions {
  readonly issuer: string
  /** In order of preference; undefined for no file. */
  readonly contacts: readonly string[] | undefined
  readonly policy: string | undefined
}

export const securityTxtRoutes = (options: SecurityTxtOptions): Hono<AppEnv> =>
  new Hono<AppEnv>().get('/.well-known/security.txt', (c) => getSecurityTxt(c, options))

/** RFC 9116 §2.5.5 wants less than a year. The settings are as fresh as the process that reads them. */
const goodForMs = 180 * 24 * 60 * 60_000

function getSecurityTxt(c: AppContext, { issuer, contacts, policy }: SecurityTxtOptions) {
  if (!contacts) return c.notFound()
  const expires = new Date(c.var.now.getTime() + goodForMs)
  expires.setUTCHours(0, 0, 0, 0)
  const fields = [
    ...contacts.map((contact) => `Contact: ${contact}`),
    `Expires: ${expires.toISOString()}`,
    ...(policy === undefined ? [] : [`Policy: ${policy}`]),
    // RFC 9116 §2.5.2: on the web none but https.
    ...(issuer.startsWith('https:') ? [`Canonical: ${issuer}/.well-known/security.txt`] : []),
  ]
  return c.text(`${fields.join('\n')}\n`, 200, { 'cache-control': 'public, max-age=86400' })
}
