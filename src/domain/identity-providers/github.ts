/** GitHub and GitHub Enterprise Server. */
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

const account = z.object({ id: z.number().int(), login: z.string(), name: optionalText })

/** `url` without a slash at its end. */
export function github(url: string, settings: ProviderSettings): Provider {
  const api = url === 'https://github.com' ? 'https://api.github.com' : `${url}/api/v3`
  return createProvider(
    {
      source: 'github',
      openid: false,
      connect: (s) =>
        knownServer(
          {
            issuer: `${url}/login/oauth`,
            authorization_endpoint: `${url}/login/oauth/authorize`,
            token_endpoint: `${url}/login/oauth/access_token`,
          },
          s,
        ),
      async readProfile(config, tokens) {
        const user = account.parse(await readJson(config, tokens, `${api}/user`))
        return {
          issuer: url,
          subject: String(user.id),
          username: user.login,
          ...(await readPrimaryEmail(config, tokens, `${api}/user/emails`)),
          fullName: user.name ?? '',
        }
      },
    },
    withoutOpenid(settings),
  )
}
