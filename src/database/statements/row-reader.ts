/** Reads rows as Drizzle does, which asks for each value of each row anew what it is and where it belongs. */
import { Column, type DriverValueDecoder, getTableName, is, SQL } from 'drizzle-orm'

/** What Drizzle calls a selected field in its order. */
export interface Field {
  readonly path: readonly string[]
  readonly field: unknown
}

/** Whether that is what it is. */
export const isField = (given: unknown): given is Field =>
  typeof given === 'object' &&
  given !== null &&
  'path' in given &&
  Array.isArray(given.path) &&
  [1, 2].includes(given.path.length) &&
  'field' in given &&
  (is(given.field, Column) || is(given.field, SQL) || is(given.field, SQL.Aliased))

interface Cell {
  /** The part of the row that a join puts it into; undefined where there is none. */
  readonly part: string | undefined
  readonly name: string
  readonly index: number
  readonly table: string | undefined
  readonly decoder: DriverValueDecoder<unknown, unknown>
}

/** `isThere`: for each table, whether its part of a row is always there. */
export function rowReader(fields: readonly Field[], isThere: Readonly<Record<string, boolean>>) {
  const parts = [...Map.groupBy(fields.map(cellOf), ({ part }) => part)].map(([part, cells]) => {
    const [first] = cells
    const isOptional = first?.table !== undefined && isThere[first.table] === false
    return { part, cells, missing: isOptional ? first.index : undefined }
  })
  return (row: readonly unknown[]) => {
    const result: Record<string, unknown> = {}
    for (const { part, cells, missing } of parts) {
      if (part === undefined) readCells(cells, row, result)
      // What an outer join did not find is null in its first column, which is its key.
      else if (missing !== undefined && row[missing] === null) result[part] = null
      else result[part] = readCells(cells, row, {})
    }
    return result
  }
}

function readCells(cells: readonly Cell[], row: readonly unknown[], into: Record<string, unknown>) {
  for (const { name, index, decoder } of cells) {
    const raw = row[index]
    into[name] = raw === null ? null : decoder.mapFromDriverValue(raw)
  }
  return into
}

function cellOf({ path: [first = '', second], field }: Field, index: number): Cell {
  const part = second === undefined ? undefined : first
  const place = { part, name: second ?? first, index }
  if (is(field, Column)) return { ...place, table: getTableName(field.table), decoder: field }
  const { decoder } = (is(field, SQL.Aliased) ? field.sql : field) as { decoder: Cell['decoder'] }
  return { ...place, table: undefined, decoder }
}
