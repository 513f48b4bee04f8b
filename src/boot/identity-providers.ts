import type { Config } from '#/config.ts'
import { gitea } from '#/domain/identity-providers/gitea.ts'
import { github } from '#/domain/identity-providers/github.ts'
import { gitlab } from '#/domain/identity-providers/gitlab.ts'
import { microsoft } from '#/domain/identity-providers/microsoft.ts'
import { oidc } from '#/domain/identity-providers/oidc.ts'
import type { Provider, ProviderSettings } from '#/domain/identity-providers/provider.ts'
import type { Recorder } from '#/telemetry/recorder.ts'

/** The providers that are set up, in the order of their buttons. */
export function identityProviders(
  config: Config,
  recorder: Pick<Recorder, 'upstreamRequested'>,
): readonly Provider[] {
  const settingsOf = (name: 'GITHUB' | 'GITEA' | 'GITLAB' | 'MICROSOFT' | 'OIDC') => {
    const clientId = config[`${name}_CLIENT_ID`]
    const clientSecret = config[`${name}_CLIENT_SECRET`]
    if (!config[`${name}_OAUTH_ENABLED`] || clientId === undefined || clientSecret === undefined)
      return []
    const settings: ProviderSettings = {
      clientId,
      clientSecret,
      scopes: config[`${name}_SCOPES`],
      redirectUri: `${config.BASE_URL}/auth/callback/${name.toLowerCase()}`,
      timeoutMs: config.OAUTH_TIMEOUT,
      trustEmail: config[`${name}_TRUST_EMAIL`],
      onRequest: recorder.upstreamRequested,
    }
    return [settings]
  }
  const { GITEA_URL: giteaUrl = '', OIDC_ISSUER: issuer = '', OIDC_NAME: title } = config
  const tenancy = { url: config.MICROSOFT_URL, tenant: config.MICROSOFT_TENANT_ID }
  return [
    ...settingsOf('GITHUB').map((settings) => github(config.GITHUB_URL, settings)),
    ...settingsOf('GITEA').map((settings) => gitea(giteaUrl, settings)),
    ...settingsOf('GITLAB').map((settings) => gitlab(config.GITLAB_URL, settings)),
    ...settingsOf('MICROSOFT').map((settings) => microsoft(tenancy, settings)),
    ...settingsOf('OIDC').map((settings) => oidc({ issuer, title }, settings)),
  ]
}
