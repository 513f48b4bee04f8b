/** Gitea and Forgejo. */
import { z } from 'zod'
import {
  createProvider,
  knownServer,
  type Provider,
  type ProviderSettings,
  readJson,
  withoutOpenid,
} from './provider.ts'

const account = z.object({
  id: z.number().int(),
  login: z.string(),
  full_name: z.string().nullish(),
})
const addresses = z.array(
  z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }),
)

/** `url` without a slash at its end. */
export const gitea = (url: string, settings: ProviderSettings): Provider =>
  createProvider(
    {
      source: 'gitea',
      title: 'Gitea',
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
        const all = addresses.parse(await readJson(config, tokens, `${url}/api/v1/user/emails`))
        const email = all.find(({ primary }) => primary)
        return {
          issuer: url,
          subject: String(user.id),
          username: user.login,
          email: email?.email,
          emailVerified: email?.verified === true,
          fullName: user.full_name ?? '',
        }
      },
    },
    withoutOpenid(settings),
  )
