/** Gitea and Forgejo. */
import { z } from 'zod'
import {
  createProvider,
  knownServer,
  optionalText,
  type Provider,
  type ProviderSettings,
  readJson,
  readPrimaryEmail,
  withoutOpenid,
} from './provider.ts'

const account = z.object({
  id: z.number().int(),
  login: z.string(),
  full_name: optionalText,
})

/** `url` without a slash at its end. */
export const gitea = (url: string, settings: ProviderSettings): Provider =>
  createProvider(
    {
      source: 'gitea',
      openid: false,
      connect: (s) =>
        knownServer(
          {
            issuer: url,
            authorization_endpoint: `${url}/login/oauth/authorize`,
            token_endpoint: `${url}/login/oauth/access_token`,
          },
          s,
        ),
      async readProfile(config, tokens) {
        const user = account.parse(await readJson(config, tokens, `${url}/api/v1/user`))
        return {
          issuer: url,
          subject: String(user.id),
          username: user.login,
          ...(await readPrimaryEmail(config, tokens, `${url}/api/v1/user/emails`)),
          fullName: user.full_name ?? '',
        }
      },
    },
    withoutOpenid(settings),
  )
