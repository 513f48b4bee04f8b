/** What is asked of both servers: for each scenario one step, made anew for every connection. */
import type { Answer, Message, Send, Step } from './closed-loop.ts'
import {
  authorizePath,
  codeVerifier,
  redirectUri,
  requireCode,
  resource,
  type Subject,
} from './subjects.ts'

export interface Scenario {
  readonly name: string
  /** How many times the peer’s rate we want; undefined where no database is asked. */
  readonly aim: number | undefined
  /** Prepares connection `n`. */
  prepare(subject: Subject, send: Send, n: number): Promise<Step>
}

/** Makes the access token a JWT for somebody else; oidc-provider’s own cannot be looked up, and are none. */
const elsewhere = { resource }

export const scenarios: readonly Scenario[] = [
  {
    name: 'client credentials',
    aim: 2,
    async prepare(subject, send) {
      const form = { grant_type: 'client_credentials', ...elsewhere }
      return () => tokens(subject, send, form).then(requireJwt)
    },
  },
  {
    name: 'refresh, rotating',
    aim: 2,
    async prepare(subject, send, n) {
      let { refresh_token = '' } = await signedIn(subject, send, n, elsewhere)
      return async () => {
        const form = { grant_type: 'refresh_token', refresh_token }
        const answer = await tokens(subject, send, form)
        requireJwt(answer)
        if (answer.refresh_token === undefined || answer.refresh_token === refresh_token)
          throw new Error('the refresh token was not rotated')
        refresh_token = answer.refresh_token
      }
    },
  },
  {
    name: 'code flow: authorize, token',
    aim: 2,
    prepare: async (subject, send, n) => () =>
      signedIn(subject, send, n, elsewhere).then(requireJwt),
  },
  {
    name: 'introspection',
    aim: 3,
    async prepare(subject, send, n) {
      const { access_token: token } = await signedIn(subject, send, n)
      const { authorization } = subject
      const message = { path: '/oauth/introspect', headers: { authorization }, form: { token } }
      return () => expectInBody(send, message, '"active":true')
    },
  },
  {
    name: 'userinfo',
    aim: 3,
    async prepare(subject, send, n) {
      const { access_token } = await signedIn(subject, send, n)
      const authorization = `Bearer ${access_token}`
      const message = { path: '/oauth/userinfo', headers: { authorization } }
      return () => expectInBody(send, message, `"person-${n}@example.test"`)
    },
  },
  {
    name: 'JWKS',
    aim: undefined,
    prepare: async (_subject, send) => () =>
      expectInBody(send, { path: '/.well-known/jwks.json', headers: {} }, '"ES256"'),
  },
]

interface Tokens {
  readonly access_token: string
  readonly refresh_token?: string
}

/** The code flow of a browser that is signed in and has approved before. */
async function signedIn(
  subject: Subject,
  send: Send,
  n: number,
  more: Readonly<Record<string, string>> = {},
): Promise<Tokens> {
  const { cookie = '', userAgent = '' } = subject.browsers[n] ?? {}
  const sent = await send({
    path: authorizePath(subject.clientId, more),
    headers: { cookie, 'user-agent': userAgent, accept: 'text/html' },
  })
  return tokens(subject, send, {
    grant_type: 'authorization_code',
    code: requireCode(sent.location),
    redirect_uri: redirectUri,
    code_verifier: codeVerifier,
  })
}

async function tokens(
  { authorization }: Subject,
  send: Send,
  form: Readonly<Record<string, string>>,
): Promise<Tokens> {
  const answer = await send({ path: '/oauth/token', headers: { authorization }, form })
  requireOk(answer)
  return JSON.parse(answer.text) as Tokens
}

function requireJwt({ access_token }: Tokens) {
  if (access_token.split('.').length !== 3) throw new Error('the access token is no JWT')
}

async function expectInBody(send: Send, message: Message, part: string) {
  const answer = await send(message)
  requireOk(answer)
  if (!answer.text.includes(part)) throw new Error(`${message.path} answered ${answer.text}`)
}

function requireOk({ status, text }: Answer) {
  if (status !== 200) throw new Error(`${status}: ${text}`)
}
