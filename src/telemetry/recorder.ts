/**
 * The Recorder facade: one method for each thing that happens, in the language of the domain; which instruments move is
 * decided here. It is made from a meter and handed on, never imported: an instrument made before its provider is a
 * silent no-op for ever. On the API's no-op meter every method does nothing.
 */
import type { Meter } from '@opentelemetry/api'
import type { Instruments } from './instruments.ts'
import type { Log } from './log.ts'
import { devices } from './recorder/devices.ts'
import { housekeeping, limitsAndCaches, populations } from './recorder/housekeeping.ts'
import { consents, externalApi, logouts, sessions, signIns } from './recorder/people.ts'
import { clients, tokens } from './recorder/tokens.ts'
import { database, http } from './recorder/traffic.ts'

export type Recorder = ReturnType<typeof createRecorder>

/** Makes every instrument of the catalogue that events move. */
export function createRecorder(meter: Meter, log?: Pick<Log, 'warn'>) {
  const instruments: Instruments = { meter, onUnknownLabel: warnOnce(log) }
  return {
    ...signIns(instruments),
    ...externalApi(instruments),
    ...sessions(instruments),
    ...logouts(instruments),
    ...consents(instruments),
    ...tokens(instruments),
    ...devices(instruments),
    ...clients(instruments),
    ...limitsAndCaches(instruments),
    ...housekeeping(instruments),
    ...populations(instruments),
    ...database(instruments),
    ...http(instruments),
  }
}

/** A wrong value is a bug worth one line in the log, not one for each request. */
function warnOnce(log: Pick<Log, 'warn'> | undefined) {
  const told = new Set<string>()
  return (series: string, label: string) => {
    const key = `${series} ${label}`
    if (told.has(key)) return
    told.add(key)
    log?.warn({ series, label }, 'a label value outside its list was counted as other')
  }
}
