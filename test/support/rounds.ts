/**
 * How often a race is run. The embedded database takes one transaction after the other, so its races hardly differ:
 * a real Postgres (TEST_DATABASE_URL) gets all rounds.
 */
export const rounds = (all: number): number =>
  process.env['TEST_DATABASE_URL'] === undefined ? Math.ceil(all / 10) : all
