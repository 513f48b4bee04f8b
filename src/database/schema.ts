/** Every table, for Drizzle's handle and for `npm run db:generate`. */
import { auditEvents } from './schema/audit-events.ts'
import { authorizationCodes } from './schema/authorization-codes.ts'
import { authorizationRequests } from './schema/authorization-requests.ts'
import { clients } from './schema/clients.ts'
import { consents } from './schema/consents.ts'
import { deviceCodes } from './schema/device-codes.ts'
import { identities } from './schema/identities.ts'
import { logoutDeliveries } from './schema/logout-deliveries.ts'
import { serverSecrets } from './schema/server-secrets.ts'
import { sessionClients } from './schema/session-clients.ts'
import { sessions } from './schema/sessions.ts'
import { signingKeys } from './schema/signing-keys.ts'
import { tokens } from './schema/tokens.ts'
import { usedProofs } from './schema/used-proofs.ts'
import { users } from './schema/users.ts'

export const schema = {
  auditEvents,
  authorizationCodes,
  authorizationRequests,
  clients,
  consents,
  deviceCodes,
  identities,
  logoutDeliveries,
  serverSecrets,
  sessionClients,
  sessions,
  signingKeys,
  tokens,
  usedProofs,
  users,
}
