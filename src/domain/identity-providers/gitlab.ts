/** GitLab, the public one and others. */
import { z } from 'zod'
import {
  createProvider,
  knownServer,
  optionalText,
  type Provider,
  type ProviderSettings,
  readJson,
  withoutOpenid,
} from './provider.ts'

const account = z.object({
  id: z.number().int(),
  username: z.string(),
  name: optionalText,
  email: optionalText,
  confirmed_at: optionalText,
})

/** `url` without a slash at its end. */
export const gitlab = (url: string, settings: ProviderSettings): Provider =>
  createProvider(
    {
      source: 'gitlab',
      openid: false,
      connect: (s) =>
        knownServer(
          {
            issuer: url,
            authorization_endpoint: `${url}/oauth/authorize`,
            token_endpoint: `${url}/oauth/token`,
          },
          s,
        ),
      async readProfile(config, tokens) {
        const user = account.parse(await readJson(config, tokens, `${url}/api/v4/user`))
        return {
          issuer: url,
          subject: String(user.id),
          username: user.username,
          email: user.email,
          emailVerified: Boolean(user.confirmed_at),
          fullName: user.name ?? '',
        }
      },
    },
    withoutOpenid(settings),
  )
