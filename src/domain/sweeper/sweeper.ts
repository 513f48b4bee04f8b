/**
 * The sweeper ends sessions, codes and requests that have lapsed and deletes what is past its retention, in batches
 * that replicas share without waiting for each other.
 */
import type { Database } from '#/database/client.ts'
import { endLapsedSessions } from '#/domain/access-revocation/end-sessions.ts'
import { endWithAudit } from '#/domain/access-revocation/end-with-audit.ts'
import type { AuditOrigin } from '#/domain/audit/audit.ts'
import { deleteOldAuditEvents } from '#/domain/audit/delete-old.ts'
import { deleteExpiredCodes } from '#/domain/authorization-codes/authorization-codes.ts'
import { deleteExpiredRequests } from '#/domain/authorization-requests/authorization-requests.ts'
import {
  deleteForgottenRegistrations,
  deleteUnusedRegistrations,
} from '#/domain/clients/forgotten-registrations.ts'
import { deleteWithdrawnConsents } from '#/domain/consents/consents.ts'
import { deleteOldDeviceCodes, expireDeviceCodes } from '#/domain/device-codes/device-codes.ts'
import {
  deleteExpiredKeys,
  type KeyRotation,
  publishNextKey,
  retireKeys,
} from '#/domain/keys/rotate-keys.ts'
import { deleteUsedProofs } from '#/domain/proofs/used-proofs.ts'
import { deleteEndedSessions } from '#/domain/sessions/sessions.ts'
import { deleteDeadTokens } from '#/domain/tokens/tokens.ts'
import {
  type SigningKeyEvent,
  type SweeperTask,
  signingAlgorithms,
  sweeperTasks,
} from '#/protocol/vocabulary.ts'
import type { Log } from '#/telemetry/log.ts'
import { type LogChanges, logChanges } from '#/telemetry/log-changes.ts'
import type { Recorder } from '#/telemetry/recorder.ts'

const batch = 500
const hours = 60 * 60 * 1000

/** How long what has ended is kept; everything else by the rules below. */
export interface Retention {
  readonly sessionsMs: number
  readonly auditMs: number
  readonly consentsMs: number
  readonly registrationsMs: number
  /** Whether clients that register themselves need no approval: then those that nobody uses go, too. */
  readonly registrationsUnasked: boolean
}

/** Used codes are remembered for a day: to end the family of a replayed one, and to tell a late device what became of its own. */
const codeMemoryMs = 24 * hours
/** Rotated refresh tokens are remembered for 30 days, to end the family of a reused one. */
const tokenMemoryMs = 30 * 24 * hours
/** Used proofs outlive their expiry a little: the clocks of two replicas can disagree. */
const proofMemoryMs = hours / 12

interface Turn {
  readonly recorder: Recorder
  readonly origin: AuditOrigin
  readonly keyRotation: KeyRotation
  readonly now: Date
}

type Task = (db: Database, turn: Turn) => Promise<number>

const tasksFor = (retention: Retention): Record<SweeperTask, Task> => ({
  sessions_lapsed: endLapsed,
  sessions_retention: (db, { now }) =>
    deleteEndedSessions(db, earlier(now, retention.sessionsMs), batch),
  authorization_requests: (db, { now }) => deleteExpiredRequests(db, now, batch),
  authorization_codes: (db, { now }) => deleteExpiredCodes(db, earlier(now, codeMemoryMs), batch),
  tokens: (db, { now }) => deleteDeadTokens(db, earlier(now, tokenMemoryMs), batch),
  audit_events: (db, { now }) => deleteOldAuditEvents(db, earlier(now, retention.auditMs), batch),
  signing_keys: rotateKeys,
  device_codes_expired: expireCodes,
  device_codes: (db, { now }) => deleteOldDeviceCodes(db, earlier(now, codeMemoryMs), batch),
  consents: (db, { now }) => deleteWithdrawnConsents(db, earlier(now, retention.consentsMs), batch),
  registrations: async (db, { now, origin }) => {
    const before = earlier(now, retention.registrationsMs)
    const old = { before, limit: batch, by: { origin, now } }
    const forgotten = await deleteForgottenRegistrations(db, old)
    if (forgotten === batch || !retention.registrationsUnasked) return forgotten
    return forgotten + (await deleteUnusedRegistrations(db, { ...old, limit: batch - forgotten }))
  },
  used_proofs: (db, { now }) => deleteUsedProofs(db, earlier(now, proofMemoryMs), batch),
})

export interface SweepOptions {
  readonly recorder: Recorder
  readonly origin: AuditOrigin
  readonly retention: Retention
  readonly keyRotation: KeyRotation
  readonly clock: () => Date
  /** Hears of each task that fails and of its recovery. */
  readonly watches?: Readonly<Record<SweeperTask, LogChanges>>
}

/** One turn over all tasks, each until its work is done. A task that fails is counted and waits for the next turn. */
export async function sweep(
  db: Database,
  { retention, clock, watches, ...context }: SweepOptions,
  stopped: () => boolean = () => false,
): Promise<void> {
  const { recorder } = context
  const start = performance.now()
  const tasks = tasksFor(retention)
  for (const name of sweeperTasks) {
    try {
      await drain(name)
      watches?.[name].worked()
    } catch (error) {
      recorder.sweeperFailed(name)
      watches?.[name].failed(error)
    }
  }
  recorder.sweeperTurn((performance.now() - start) / 1000)

  async function drain(name: SweeperTask) {
    let rows = batch
    while (rows === batch && !stopped()) {
      rows = await tasks[name](db, { ...context, now: clock() })
      if (rows > 0) recorder.sweeperSwept(name, rows)
    }
  }
}

/** Sweeps at once and then at every interval; the answer stops it and waits for a turn under way. */
export function startSweeper(
  db: Database,
  { intervalMs, log, ...rest }: SweepOptions & { readonly intervalMs: number; readonly log: Log },
): () => Promise<void> {
  const options = { ...rest, watches: watchTasks(log) }
  let stopping = false
  let timer: NodeJS.Timeout | undefined
  let turn = Promise.resolve()
  const run = () => {
    turn = sweep(db, options, () => stopping).finally(() => {
      if (!stopping) timer = setTimeout(run, intervalMs)
    })
  }
  run()
  return () => {
    stopping = true
    clearTimeout(timer)
    return turn
  }
}

const watchTasks = (log: Log) =>
  Object.fromEntries(
    sweeperTasks.map((task) => [task, logChanges(log, `the sweeper task ${task}`)]),
  ) as Record<SweeperTask, LogChanges>

async function endLapsed(db: Database, { recorder, origin, now }: Turn) {
  const end = (tx: Database) => endLapsedSessions(tx, { now, limit: batch })
  const ended = await endWithAudit(db, end, { type: 'SESSION_ENDED', origin, now })
  for (const { reason, seconds, tokens } of ended) {
    recorder.sessionEnded(reason, seconds)
    if (tokens.access > 0) recorder.tokensRevoked(tokens.reason, 'access', tokens.access)
  }
  return ended.length
}

async function rotateKeys(db: Database, { recorder, keyRotation: rotation, now }: Turn) {
  let rows = 0
  const count = (event: SigningKeyEvent, keys: number) => {
    recorder.signingKeys(event, keys)
    rows += keys
  }
  for (const algorithm of signingAlgorithms)
    count('created', await publishNextKey(db, algorithm, { rotation, now }))
  count('retired', await retireKeys(db, { rotation, now }))
  count('deleted', await deleteExpiredKeys(db, now))
  return rows
}

async function expireCodes(db: Database, { recorder, now }: Turn) {
  const expired = await expireDeviceCodes(db, now, batch)
  recorder.deviceCodesEnded('expired', expired)
  return expired
}

const earlier = (now: Date, ms: number) => new Date(now.getTime() - ms)
