/** What every request carries: set once by the outermost middleware, read by handlers as `c.var.…`. */
import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { AuditOrigin } from '#/domain/audit/audit.ts'
import type { RepeatedEvents } from '#/domain/audit/repeated-events.ts'
import type { Session } from '#/domain/sessions/sessions.ts'
import type { User } from '#/domain/users/users.ts'
import type { Log } from '#/telemetry/log.ts'
import type { Recorder } from '#/telemetry/recorder.ts'

interface AppVariables {
  recorder: Recorder
  /** 32 hexadecimal digits; the reference that error pages show and audit rows keep. */
  traceId: string
  log: Log
  /** The address of the person or client, as far as trusted proxies tell. */
  address: string
  origin: AuditOrigin
  now: Date
  repeatedEvents: RepeatedEvents
  /** The client that the request is or names, once it is found; it may not have proven itself. */
  clientId?: string
  /** The account that an access token or a sign-in stands for. */
  userId?: string
  /** Set when the client may use it (RFC 6749 §1.3). */
  grantType?: string
  /** Below which the server lives for browsers, such as `/auth`; unset at the root. */
  basePath?: string
  /** Undefined where no ceiling counts. */
  underCeiling?: UnderCeiling
  /** Set by `optionalUser` and `requireUser` when the browser is signed in. */
  signedIn?: SignedIn
  /** Where forms of this page may lead besides ourselves (CSP form-action). */
  formActions?: readonly string[] | 'anywhere'
  /** Where images of this page may come from besides ourselves (CSP img-src). */
  images?: readonly string[]
  /** Scripts of this page, by the hash that the CSP allows. */
  scripts?: readonly string[]
}

/** What the ceiling has counted for a request. */
interface UnderCeiling {
  refund(): void
  /** Counts an access token instead of its bearer's address; throws the 429 when it is used too often. */
  countToken(id: string): Promise<void>
}

export interface SignedIn {
  readonly session: Session
  readonly user: User
}

export interface AppEnv {
  Bindings: Partial<HttpBindings>
  Variables: AppVariables
}

export type AppContext = Context<AppEnv>
