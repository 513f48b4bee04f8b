import type { Recorder } from '#/telemetry/recorder.ts'
import { gitea } from './gitea.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'
import { microsoft } from './microsoft.ts'
import { oidc } from './oidc.ts'
import type { Provider, ProviderSettings } from './provider.ts'

/** Undefined where a provider is not set up. */
type OwnClient = Omit<ProviderSettings, 'redirectUri' | 'onRequest'> | undefined

interface ProvidersSettings {
  readonly github: { readonly url: string; readonly client: OwnClient }
  readonly gitea: { readonly url: string; readonly client: OwnClient }
  readonly gitlab: { readonly url: string; readonly client: OwnClient }
  readonly microsoft: {
    readonly url: string
    readonly tenant: string
    readonly client: OwnClient
  }
  readonly oidc: { readonly issuer: string; readonly title: string; readonly client: OwnClient }
}

interface Surroundings {
  /** Where providers send people back to. */
  readonly issuer: string
  readonly recorder: Pick<Recorder, 'upstreamRequested'>
}

/** The providers that are set up, in the order of their buttons. */
export function createProviders(
  settings: ProvidersSettings,
  { issuer, recorder }: Surroundings,
): readonly Provider[] {
  const create = (source: keyof ProvidersSettings, make: (own: ProviderSettings) => Provider) => {
    const { client } = settings[source]
    if (!client) return []
    const redirectUri = `${issuer}/auth/callback/${source}`
    return [make({ ...client, redirectUri, onRequest: recorder.upstreamRequested })]
  }
  return [
    ...create('github', (own) => github(settings.github.url, own)),
    ...create('gitea', (own) => gitea(settings.gitea.url, own)),
    ...create('gitlab', (own) => gitlab(settings.gitlab.url, own)),
    ...create('microsoft', (own) => microsoft(settings.microsoft, own)),
    ...create('oidc', (own) => oidc(settings.oidc, own)),
  ]
}
