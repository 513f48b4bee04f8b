/**
 * oidc-provider as a process, set up to do what AuthGate does: ES256, JWT access tokens for resources, rotating refresh
 * tokens, remembered consent, accounts in the database. Its client is a constant, and its audit log there is none.
 */
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import Provider from 'oidc-provider'
import postgres from 'postgres'
import { createTables, postgresAdapter } from './postgres-adapter.ts'

const environment = (name: string) => process.env[name] ?? ''
const issuer = environment('BASE_URL')
const sql = postgres(environment('DATABASE_URL'), {
  max: Number(environment('DB_MAX_OPEN_CONNS')),
  onnotice: () => {},
})
await createTables(sql)

const signingKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  format: 'jwk',
})
const provider = new Provider(issuer, {
  adapter: postgresAdapter(sql),
  jwks: { keys: [{ ...signingKey, alg: 'ES256', use: 'sig' }] },
  cookies: { keys: [environment('SESSION_SECRET')] },
  clients: [
    {
      client_id: environment('CLIENT_ID'),
      client_secret: environment('CLIENT_SECRET'),
      redirect_uris: [environment('REDIRECT_URI')],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'ES256',
      introspection_signed_response_alg: 'ES256',
    },
  ],
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username', 'updated_at'],
    email: ['email', 'email_verified'],
  },
  conformIdTokenClaims: false,
  findAccount: async (_context: unknown, name: string) => {
    const [account] = await sql`select claims from accounts where name = ${name}`
    return account && { accountId: name, claims: () => ({ sub: name, ...account['claims'] }) }
  },
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid profile email',
        audience: environment('RESOURCE'),
        accessTokenTTL: 3600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  issueRefreshToken: (_context: unknown, client: { grantTypeAllowed(type: string): boolean }) =>
    client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  ttl: {
    AccessToken: 3600,
    ClientCredentials: 3600,
    IdToken: 3600,
    RefreshToken: 86_400,
    Session: 86_400,
    Grant: 86_400,
    Interaction: 600,
  },
  routes: {
    authorization: '/oauth/authorize',
    token: '/oauth/token',
    userinfo: '/oauth/userinfo',
    introspection: '/oauth/introspect',
    jwks: '/.well-known/jwks.json',
  },
})
provider.on('server_error', (_context, error) => console.error(error))

const server = createServer(provider.callback())
server.keepAliveTimeout = 75_000
server.listen(Number(environment('PORT')), environment('HOST'))
process.once('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
  void sql.end({ timeout: 5 }).finally(() => process.exit())
})
