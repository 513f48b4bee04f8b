/** What several areas read alike. Each message says what to write. */
import { isIP } from 'node:net'
import { z } from 'zod'

export function problem(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}

/** In milliseconds. */
export const duration = z.string().transform((text, context) => {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(text)
  if (!match || text === '') return problem(context, 'write a duration such as 15s, 10m or 1h30m')
  const [h = 0, m = 0, s = 0, ms = 0] = match.slice(1).map((part) => Number(part ?? 0))
  return ((h * 60 + m) * 60 + s) * 1000 + ms
})
export const positiveDuration = duration.refine((ms) => ms > 0, 'write a duration longer than zero')

export const flag = z.string().transform((text, context) => {
  if (['true', '1'].includes(text.toLowerCase())) return true
  if (['false', '0'].includes(text.toLowerCase())) return false
  return problem(context, 'write true or false')
})

export const whole = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  z.string().transform((text, context) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    const bounds = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`
    return problem(context, `write a whole number ${bounds}`)
  })

export const port = whole(1, 65_535)

/** Separated by commas. */
export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)

/** Without slashes at its end. */
export const httpUrl = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && ['http:', 'https:'].includes(url.protocol) && !url.search && !url.hash)
    return text.replace(/\/+$/, '')
  return problem(context, 'write an http:// or https:// URL without query or fragment')
})

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

/** Whether nobody listens on the way there: by plain http only inside this machine. */
export const isPrivateWay = ({ protocol, hostname }: URL): boolean =>
  protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[|\]$/g, '')))
