/**
 * Microsoft Entra ID. Its `email` is whatever an administrator of the person's tenant typed, and no claim says that it
 * was verified: it counts where the operator vouches for the tenant, and nowhere else.
 */

import { discovered, readClaims } from './oidc.ts'
import { createProvider, type Provider, type ProviderSettings } from './provider.ts'

/** `url` without a slash at its end. */
export const microsoft = (
  { url, tenant }: { url: string; tenant: string },
  settings: ProviderSettings,
): Provider =>
  createProvider(
    {
      source: 'microsoft',
      openid: true,
      connect: discovered(`${url}/${tenant}/v2.0`),
      readProfile: async (config, tokens) => ({
        ...(await readClaims(config, tokens)),
        emailVerified: settings.trustEmail,
      }),
    },
    settings,
  )
