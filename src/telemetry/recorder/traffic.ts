/** Requests and statements, named by the semantic conventions. */
import { catalogue } from '../catalogue.ts'
import {
  type DatabaseErrorType,
  type DatabaseOperation,
  databaseErrorTypes,
  databaseOperations,
  type HttpMethod,
  type UrlScheme,
} from '../conventions.ts'
import { createOpenHistogram, createUpDownCounter, type Instruments } from '../instruments.ts'

export interface HttpRequest {
  readonly method: HttpMethod
  /** The matched template, never the path; undefined when none matched. */
  readonly route: string | undefined
  readonly status: number
  readonly scheme: UrlScheme
  readonly seconds: number
}

export function database({ meter }: Instruments) {
  const durations = createOpenHistogram(meter, catalogue.databaseOperationDuration)
  const system = { 'db.system.name': 'postgresql' }
  const attributes = new Map(
    databaseOperations.map((operation) => {
      const success = { ...system, 'db.operation.name': operation }
      const failures = databaseErrorTypes.map(
        (type) => [type, { ...success, 'error.type': type }] as const,
      )
      return [operation, { success, failures: new Map(failures) }] as const
    }),
  )
  return {
    /** A statement, or with `BEGIN` a whole transaction, was answered. */
    databaseOperation(
      operation: DatabaseOperation,
      seconds: number,
      errorType?: DatabaseErrorType,
    ): void {
      const known = attributes.get(operation) ?? attributes.get('other')
      const failed = errorType && (known?.failures.get(errorType) ?? known?.failures.get('other'))
      durations.record(Math.max(seconds, 0), failed ?? known?.success)
    },
  }
}

export function http(instruments: Instruments) {
  const active = createUpDownCounter(instruments, catalogue.httpActiveRequests)
  const durations = createOpenHistogram(instruments.meter, catalogue.httpRequestDuration)
  return {
    /** A request came in. */
    httpRequestStarted(method: HttpMethod, scheme: UrlScheme): void {
      active({ 'http.request.method': method, 'url.scheme': scheme }, 1)
    },
    /** Its answer is ready. */
    httpRequestEnded({ method, route, status, scheme, seconds }: HttpRequest): void {
      active({ 'http.request.method': method, 'url.scheme': scheme }, -1)
      durations.record(seconds, {
        'http.request.method': method,
        ...(route !== undefined && { 'http.route': route }),
        'http.response.status_code': status,
        'url.scheme': scheme,
      })
    },
  }
}
