/** Who may be called what, and who checks passwords. */
import { z } from 'zod'
import { reservedUsernames } from '#/protocol/reserved-usernames.ts'
import { duration, isPrivateWay, list, positiveDuration, whole } from './parsers.ts'
import { type Area, type IsWritten, type Settings, setting, type ValuesOf } from './setting.ts'

const usernames = list.refine(
  (names) => names.every((name) => /^[a-z0-9][a-z0-9_.+-]*$/i.test(name)),
  'write usernames, separated by commas',
)

/** Where passwords go. */
const apiUrl = z.string().refine((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || url.username || url.password || url.search || url.hash) return false
  return isPrivateWay(url)
}, 'write an https:// URL without user, query or fragment; http:// only for this machine itself')

const headerName = z
  .string()
  .refine(
    (text) =>
      /^[\w!#$%&'*+.^`|~-]+$/.test(text) &&
      !/^(accept|connection|content-.*|date|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade|user-agent)$/i.test(
        text,
      ),
    'write the name of a header of your own, such as X-API-Secret',
  )

const settings = {
  DEFAULT_ADMIN_PASSWORD: setting(
    z.string().min(8, 'write at least 8 characters'),
    undefined,
    'Password of the `admin` user created at the first start; never printed. Unset: a random one, printed once, which has to be changed at the first sign-in.',
    { secret: true },
  ),
  RESERVED_USERNAMES: setting(
    usernames,
    reservedUsernames.join(','),
    'Usernames that only administrators may give: whoever comes from a provider is called something else, whoever comes from the HTTP API is a conflict. Signs between letters (`no-reply`) and what stands behind an `@` do not count. What is written here takes the place of the default. Who has such a name keeps it.',
  ),
  AUTH_MODE: setting(
    z.enum(['local', 'http_api'], 'write local or http_api'),
    'local',
    'Who checks the passwords of accounts that are not local: nobody (`local`) or your own HTTP API (`http_api`). Local accounts, including the first administrator, are always checked here.',
  ),
  HTTP_API_URL: setting(
    apiUrl,
    undefined,
    'The API: `POST` of JSON with `username` and `password`. Required with `AUTH_MODE=http_api`.',
  ),
  HTTP_API_TIMEOUT: setting(
    positiveDuration,
    '10s',
    'How long one attempt may take; all attempts and waits together may take three times as long.',
  ),
  HTTP_API_AUTH_MODE: setting(
    z.enum(['none', 'simple', 'hmac'], 'write none, simple or hmac'),
    'none',
    'How this server authenticates to the API: not at all, with the secret in a header, or with a signature.',
  ),
  HTTP_API_AUTH_SECRET: setting(
    z.string().regex(/^[!-~]{16,}$/, 'write a random text of at least 16 visible ASCII characters'),
    undefined,
    'Shared with the API. Required with `simple` and `hmac`.',
    { secret: true },
  ),
  HTTP_API_AUTH_HEADER: setting(
    headerName,
    'X-API-Secret',
    'The header that carries the secret with `simple`.',
  ),
  HTTP_API_MAX_RETRIES: setting(
    whole(0, 10),
    '3',
    'How often a request is retried when the API cannot be reached or answers 429, 502, 503 or 504.',
  ),
  HTTP_API_RETRY_DELAY: setting(
    duration,
    '1s',
    'Upper bound of the first, random delay; the bound doubles with each retry.',
  ),
  HTTP_API_MAX_RETRY_DELAY: setting(
    duration,
    '10s',
    'Maximum delay, even if the API asks for more with `Retry-After`.',
  ),
} satisfies Settings

type Values = ValuesOf<typeof settings>

function problems(
  { AUTH_MODE, HTTP_API_AUTH_MODE: mode = 'none' }: Partial<Values>,
  isWritten: IsWritten,
): string[] {
  if (AUTH_MODE !== 'http_api') return []
  return [
    ...(isWritten('HTTP_API_URL')
      ? []
      : ['HTTP_API_URL: is required with AUTH_MODE=http_api; write the https:// URL of your API.']),
    ...(mode === 'none' || isWritten('HTTP_API_AUTH_SECRET')
      ? []
      : [
          `HTTP_API_AUTH_SECRET: is required with HTTP_API_AUTH_MODE=${mode}; write a random text of at least 16 characters.`,
        ]),
  ]
}

const read = (v: Values) => ({
  /** Of the first account; undefined where one is to be made up. */
  adminPassword: v.DEFAULT_ADMIN_PASSWORD,
  reservedUsernames: v.RESERVED_USERNAMES,
  externalApi: readExternalApi(v),
})

/** Who checks passwords besides us, if anybody. */
const readExternalApi = (v: Values) =>
  v.AUTH_MODE !== 'http_api' || v.HTTP_API_URL === undefined
    ? undefined
    : {
        url: v.HTTP_API_URL,
        proof: {
          mode: v.HTTP_API_AUTH_MODE,
          header: v.HTTP_API_AUTH_HEADER,
          secret: v.HTTP_API_AUTH_SECRET,
        },
        timeoutMs: v.HTTP_API_TIMEOUT,
        retries: v.HTTP_API_MAX_RETRIES,
        retryDelayMs: v.HTTP_API_RETRY_DELAY,
        maxDelayMs: v.HTTP_API_MAX_RETRY_DELAY,
      }

export const signIn = { title: 'Sign-in', settings, problems, read } satisfies Area
