/** The whole audit log as a file: one batch is read when the last one has been taken, so memory stays as it is. */
import type { FoundAuditEvent } from '#/domain/audit/find-events.ts'

interface ExportFormat {
  readonly contentType: string
  readonly extension: string
  readonly header: string
  render(event: FoundAuditEvent): string
}

const columns = [
  'id',
  'at',
  'type',
  'severity',
  'success',
  'actorUserId',
  'actorName',
  'clientId',
  'resourceType',
  'resourceId',
  'ip',
  'userAgent',
  'traceId',
  'details',
] as const

const names = columns.map((column) =>
  column.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
)

const valuesOf = (event: FoundAuditEvent) =>
  columns.map((column) => (column === 'at' ? event.exactly : event[column]))

/** An event under the names of its columns, for programs. */
export const asJson = (event: FoundAuditEvent): Record<string, unknown> =>
  Object.fromEntries(valuesOf(event).map((value, n) => [names[n], value]))

export const exportFormats: Readonly<Record<'csv' | 'json', ExportFormat>> = {
  csv: {
    contentType: 'text/csv; charset=utf-8',
    extension: 'csv',
    header: `${names.join(',')}\r\n`,
    render: (event) => `${valuesOf(event).map(cell).join(',')}\r\n`,
  },
  json: {
    contentType: 'application/x-ndjson',
    extension: 'ndjson',
    header: '',
    render: (event) => `${JSON.stringify(asJson(event))}\n`,
  },
}

/** RFC 4180 §2. */
export function cell(value: unknown): string {
  const text =
    typeof value === 'object' && value !== null ? JSON.stringify(value) : `${value ?? ''}`
  const safe = withoutFormulas(text)
  return /[",;\t\r\n]/.test(safe) || safe !== text ? `"${safe.replaceAll('"', '""')}"` : safe
}

/**
 * Apostrophes keep a spreadsheet from taking what a stranger sent for a formula: at the beginning, and wherever a cell
 * would begin in one that splits lines at semicolons or tabs, in which our quotation marks stand for themselves.
 */
const withoutFormulas = (text: string) =>
  text
    .replaceAll(/(^|[;\t\r\n])([^\S\t\r\n]*)([=+\-@＝＋－＠])/gu, "$1$2'$3")
    .replace(/^[\t\r\n]/, "'$&")

/**
 * The file, piece by piece, as fast as it is taken. What fails on the way fails the stream, so that the transfer breaks
 * instead of ending early; when the reader goes away, nothing more is read.
 */
export function streamFile(
  batches: AsyncGenerator<FoundAuditEvent[], void>,
  { header, render }: ExportFormat,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let begun = header === ''
  return new ReadableStream(
    {
      async pull(controller) {
        if (!begun) {
          begun = true
          controller.enqueue(encoder.encode(header))
          return
        }
        const { done, value } = await batches.next()
        if (done) controller.close()
        else controller.enqueue(encoder.encode(value.map(render).join('')))
      },
      async cancel() {
        await batches.return()
      },
    },
    { highWaterMark: 0 },
  )
}
