/** Settings of the product we grew out of, and where their meaning went. */
export const renamed: Readonly<Record<string, string>> = {
  SERVER_ADDR: 'write HOST and PORT instead',
  DATABASE_DSN: 'write DATABASE_URL instead',
  DATABASE_DRIVER: 'remove it: DATABASE_URL decides',
  DATABASE_PATH: 'write DATA_DIR instead',
  REDIS_ADDR: 'write REDIS_URL instead',
  LOGIN_SESSION_TRACKING_ENABLED: 'remove it: sessions are always tracked',
  METRICS_GAUGE_UPDATE_ENABLED: 'remove it: gauges are counted when they are scraped',
  METRICS_GAUGE_UPDATE_INTERVAL: 'write METRICS_POPULATION_TTL instead',
  HTTP_API_INSECURE_SKIP_VERIFY:
    'remove it: certificates are always checked; name the file of your own authority in NODE_EXTRA_CA_CERTS',
  EXTRA_CLAIMS_ENABLED: 'remove it: an operator allows it to single clients',
  TOKEN_PROFILE_STANDARD_ACCESS_TTL: 'write JWT_EXPIRATION instead',
  TOKEN_PROFILE_STANDARD_REFRESH_TTL: 'write REFRESH_TOKEN_EXPIRATION instead',
  GITHUB_REDIRECT_URL: 'remove it: it is BASE_URL/auth/callback/github',
  GITEA_REDIRECT_URL: 'remove it: it is BASE_URL/auth/callback/gitea',
  GITLAB_REDIRECT_URL: 'remove it: it is BASE_URL/auth/callback/gitlab',
  MICROSOFT_REDIRECT_URL: 'remove it: it is BASE_URL/auth/callback/microsoft',
  OAUTH_INSECURE_SKIP_VERIFY:
    'remove it: certificates are always checked; NODE_EXTRA_CA_CERTS adds your own authority',
}
