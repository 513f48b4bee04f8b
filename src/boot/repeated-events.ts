import type { Database } from '#/database/client.ts'
import { codeOf } from '#/database/errors.ts'
import { createRepeatedEvents, type RepeatedEvents } from '#/domain/audit/repeated-events.ts'
import type { Log } from '#/telemetry/log.ts'
import type { Recorder } from '#/telemetry/recorder.ts'
import { noteRefusal } from '#/web/request/note-refusal.ts'

interface Told {
  readonly recorder: Recorder
  readonly log: Log
}

/** Lost events are counted and logged, unless an outage of the database was logged already. */
export const auditRepeated = (db: Database, { recorder, log }: Told): RepeatedEvents =>
  createRepeatedEvents(db, {
    onDropped(count, error) {
      recorder.auditEventsDropped(count)
      if (codeOf(error) !== 'DATABASE_DOWN')
        log.error({ err: error, count }, 'audit events could not be written')
    },
  })

interface Watch extends Told {
  /** Whether audit events are written at all. */
  readonly auditing: boolean
  readonly repeatedEvents: RepeatedEvents
  readonly clock: () => Date
}

/** Wrong tokens at the exporter port are refusals like any other. */
export const noteWrongTokens = ({ auditing, clock, ...told }: Watch) => ({
  onWrongToken(address: string) {
    const origin = { enabled: auditing, ip: address }
    noteRefusal({ ...told, origin, now: clock() }, 'metrics_token')
  },
})
