/** The series that OpenTelemetry's semantic conventions name: HTTP, database, Node.js, V8, process. */
import { databaseBuckets, gcBuckets, requestBuckets } from './buckets.ts'
import { gauge, histogram, observableCounter, upDownCounter } from './series.ts'

/** The methods that the conventions know; every other is `_OTHER`. */
export const httpMethods = [
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'TRACE',
  '_OTHER',
] as const
export type HttpMethod = (typeof httpMethods)[number]

const urlSchemes = ['http', 'https'] as const
export type UrlScheme = (typeof urlSchemes)[number]

export const databaseOperations = [
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'BEGIN',
  'other',
] as const
export type DatabaseOperation = (typeof databaseOperations)[number]

export const databaseErrorTypes = ['timeout', 'connection', 'constraint', 'other'] as const
export type DatabaseErrorType = (typeof databaseErrorTypes)[number]

const garbageCollections = ['major', 'minor', 'incremental', 'weakcb'] as const
export type GarbageCollection = (typeof garbageCollections)[number]

const poolLabel = { 'db.client.connection.pool.name': ['main', 'population'] } as const

export const http = {
  httpRequestDuration: histogram('http.server.request.duration', {
    unit: 's',
    description: 'Duration of a request.',
    labels: { 'http.request.method': httpMethods },
    openLabels: {
      'http.route': 'matched route template; absent when none matched',
      'http.response.status_code': 'status sent',
      'url.scheme': 'http or https',
    },
    buckets: requestBuckets,
  }),
  httpActiveRequests: upDownCounter('http.server.active_requests', {
    unit: '{request}',
    description: 'Requests in flight.',
    labels: { 'http.request.method': httpMethods, 'url.scheme': urlSchemes },
  }),
}

export const database = {
  databaseOperationDuration: histogram('db.client.operation.duration', {
    unit: 's',
    description: 'Duration of one database statement; BEGIN is a whole transaction.',
    labels: { 'db.operation.name': databaseOperations, 'db.system.name': ['postgresql'] },
    openLabels: { 'error.type': 'timeout, connection, constraint or other; absent on success' },
    buckets: databaseBuckets,
  }),
  databaseConnectionsMax: gauge('db.client.connection.max', {
    unit: '{connection}',
    description: 'Maximum number of connections of the pool.',
    labels: poolLabel,
  }),
  databasePendingRequests: gauge('db.client.connection.pending_requests', {
    unit: '{request}',
    description: 'Statements and transactions waiting for a connection.',
    labels: poolLabel,
  }),
}

export const runtime = {
  eventLoopDelayMin: gauge('nodejs.eventloop.delay.min', {
    unit: 's',
    description: 'Least event loop delay since the last collection.',
  }),
  eventLoopDelayMax: gauge('nodejs.eventloop.delay.max', {
    unit: 's',
    description: 'Greatest event loop delay since the last collection.',
  }),
  eventLoopDelayMean: gauge('nodejs.eventloop.delay.mean', {
    unit: 's',
    description: 'Mean event loop delay since the last collection.',
  }),
  eventLoopDelayStddev: gauge('nodejs.eventloop.delay.stddev', {
    unit: 's',
    description: 'Standard deviation of the event loop delay since the last collection.',
  }),
  eventLoopDelayP50: gauge('nodejs.eventloop.delay.p50', {
    unit: 's',
    description: 'Median event loop delay since the last collection.',
  }),
  eventLoopDelayP90: gauge('nodejs.eventloop.delay.p90', {
    unit: 's',
    description: '90th percentile of the event loop delay since the last collection.',
  }),
  eventLoopDelayP99: gauge('nodejs.eventloop.delay.p99', {
    unit: 's',
    description: '99th percentile of the event loop delay since the last collection.',
  }),
  eventLoopUtilization: gauge('nodejs.eventloop.utilization', {
    unit: '1',
    description: 'Share of time the event loop was busy since the last collection.',
  }),
  eventLoopTime: observableCounter('nodejs.eventloop.time', {
    unit: 's',
    description: 'Time the event loop spent in each state.',
    labels: { 'nodejs.eventloop.state': ['active', 'idle'] },
  }),
  gcDuration: histogram('v8js.gc.duration', {
    unit: 's',
    description: 'Duration of one garbage collection.',
    labels: { 'v8js.gc.type': garbageCollections },
    buckets: gcBuckets,
  }),
  heapUsed: gauge('v8js.memory.heap.used', {
    unit: 'By',
    description: 'Heap in use, by space.',
    openLabels: { 'v8js.heap.space.name': 'V8 heap space' },
  }),
  heapLimit: gauge('v8js.memory.heap.limit', {
    unit: 'By',
    description: 'Heap reserved, by space.',
    openLabels: { 'v8js.heap.space.name': 'V8 heap space' },
  }),
  processCpuTime: observableCounter('process.cpu.time', {
    unit: 's',
    description: 'CPU time of the process.',
    labels: { 'cpu.mode': ['user', 'system'] },
  }),
  processMemory: gauge('process.memory.usage', {
    unit: 'By',
    description: 'Resident memory of the process.',
  }),
  processUptime: gauge('process.uptime', {
    unit: 's',
    description: 'Time since the process started.',
  }),
}
