/** How clients of tests present themselves, and where they send people back to. */
export const redirectUri = 'https://app.example.test/callback'

/** HTTP Basic (RFC 6749 §2.3.1). */
export const basicAuth = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
