/**
 * Every series this server exports: name, unit, meaning, label values, buckets. THE one home of that fact;
 * the Recorder, the gauges, docs/METRICS.md, and the tests of dashboards and rules are derived from it.
 */
import { devices } from './catalogue/devices.ts'
import { housekeeping, populations } from './catalogue/housekeeping.ts'
import { keys } from './catalogue/keys.ts'
import { consents, logouts, sessions, signIns } from './catalogue/people.ts'
import { tokens } from './catalogue/tokens.ts'
import { database, http, runtime } from './conventions.ts'
import type { Series } from './series.ts'

/** Every series, by the name that code calls it. */
export const catalogue = {
  ...signIns,
  ...sessions,
  ...logouts,
  ...consents,
  ...tokens,
  ...keys,
  ...devices,
  ...populations,
  ...housekeeping,
  ...http,
  ...database,
  ...runtime,
}

/** The same series under the headings of docs/METRICS.md. */
export const catalogueGroups: Readonly<Record<string, Readonly<Record<string, Series>>>> = {
  'Sign-ins': signIns,
  Sessions: sessions,
  'Back-channel logout': logouts,
  Consents: consents,
  'Codes and tokens': tokens,
  'Signing keys': keys,
  Devices: devices,
  Populations: populations,
  'Limits, caches, housekeeping': housekeeping,
  HTTP: http,
  Database: database,
  Runtime: runtime,
}
