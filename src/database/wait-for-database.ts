/** The first meeting with the database: waits until it is there, says what is wrong, and finds out what stands in between. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openConnection, openingBoundMs, runWithin } from './connection.ts'
import { type ConnectionTarget, describeHosts } from './connection-string.ts'
import { driverOptions } from './driver-options.ts'
import { codeOf, isRefusal } from './errors.ts'

export interface DatabaseTraits {
  /** Whether a pooler answers in place of the server, so that nothing may be left behind in a session. */
  readonly pooled: boolean
}

interface WaitOptions {
  readonly timeoutMs: number
  onRetry(message: string): void
}

const pauseMs = 1000

/**
 * Resolves as soon as the database answers. What waiting does not mend (a wrong password, no such database, a certificate) is
 * thrown at once, everything else when the time is over; both as a sentence that names the setting.
 */
export async function waitForDatabase(
  target: ConnectionTarget,
  { timeoutMs, onRetry }: WaitOptions,
): Promise<DatabaseTraits> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    try {
      return await askServer(target)
    } catch (error) {
      const left = deadline - performance.now()
      if (isRefusal(error)) throw new Error(explain(target, error), { cause: error })
      if (left <= 0) throw new Error(giveUp(target, error, timeoutMs), { cause: error })
      onRetry(explain(target, error))
      await sleep(Math.min(pauseMs, left))
    }
  }
}

/**
 * A pooler makes up the process id by which a statement is cancelled, since its clients share processes; Postgres tells its
 * own. That says nothing about the pooler's mode: all are taken for one that gives each transaction another process.
 */
async function askServer(target: ConnectionTarget): Promise<DatabaseTraits> {
  const driver = { options: driverOptions(target), types: { parsers: {}, serializers: {} } }
  const boundMs = openingBoundMs(driver.options)
  const connection = await openConnection(driver, boundMs, () => {})
  try {
    const answer = await runWithin(connection, { text: 'select pg_backend_pid() as pid' }, boundMs)
    const [row] = answer as readonly { readonly pid: number }[]
    return { pooled: row?.pid !== answer.state?.pid }
  } finally {
    await connection.close()
  }
}

const giveUp = (target: ConnectionTarget, error: unknown, timeoutMs: number) =>
  `${explain(target, error)} Waited ${timeoutMs / 1000} s for it (DB_START_TIMEOUT).`

/** Server's messages never hold a password; ours hold hosts and ports alone. */
function explain(target: ConnectionTarget, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const advice = adviceFor(codeOf(error), message)
  return `${target.setting} (${describeHosts(target)}): ${message.replace(/\.$/, '')}.${advice}`
}

function adviceFor(code: string, message: string): string {
  if (code === '28P01') return ' Its user name or password is wrong.'
  if (code === '3D000') return ' Create the database, or use the name of another one.'
  if (code.startsWith('28') && /no encryption|SSL off/.test(message))
    return ' The server requires TLS: add sslmode=require, or better verify-full.'
  if (code === '08P01' && message.includes('startup parameter'))
    return ' The pooler refuses it: remove it from the connection string, or list it in its ignore_startup_parameters.'
  return ''
}
