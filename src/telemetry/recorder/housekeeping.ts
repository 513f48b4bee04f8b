/** What the server does for its own good. */
import type {
  BoundedTable,
  CacheName,
  ConnectionLimit,
  OutboundPurpose,
  OutboundResult,
  PopulationGroup,
  RateLimitedEndpoint,
  RefusalKind,
  SigningKeyEvent,
  SweeperTask,
  UncaughtKind,
} from '#/protocol/vocabulary.ts'
import { catalogue } from '../catalogue.ts'
import { createCounter, createHistogram, type Instruments } from '../instruments.ts'

type CacheLookup = 'hit' | 'miss' | 'coalesced' | 'error'

export function limitsAndCaches(instruments: Instruments) {
  const checks = createCounter(instruments, catalogue.rateLimitChecks)
  const exceeded = createCounter(instruments, catalogue.rateLimitExceeded)
  const lookups = {
    hit: createCounter(instruments, catalogue.cacheHits),
    miss: createCounter(instruments, catalogue.cacheMisses),
    coalesced: createCounter(instruments, catalogue.cacheCoalesced),
    error: createCounter(instruments, catalogue.cacheErrors),
  }
  return {
    /** A request met a limiter; a limiter without a configured name is `unknown`. */
    rateLimitChecked(
      endpoint: RateLimitedEndpoint | undefined,
      result: 'allowed' | 'limited' | 'error' | 'fallback',
    ): void {
      const name = endpoint ?? 'unknown'
      checks({ endpoint: name, result })
      if (result === 'limited') exceeded({ endpoint: name })
    },
    /** A cache was asked. A failed load is counted as an error besides the miss that began it. */
    cacheLookup(cacheName: CacheName, outcome: CacheLookup): void {
      lookups[outcome]({ cache_name: cacheName })
    },
  }
}

export function housekeeping(instruments: Instruments) {
  const dropped = createCounter(instruments, catalogue.auditEventsDropped)
  const rowsRefused = createCounter(instruments, catalogue.rowsRefused)
  const refusals = createCounter(instruments, catalogue.refusals)
  const rows = createCounter(instruments, catalogue.sweeperRows)
  const errors = createCounter(instruments, catalogue.sweeperErrors)
  const turns = createHistogram(instruments, catalogue.sweeperDuration)
  const exports = createCounter(instruments, catalogue.exportFailures)
  const uncaught = createCounter(instruments, catalogue.uncaughtErrors)
  const refused = createCounter(instruments, catalogue.connectionsRefused)
  const keys = createCounter(instruments, catalogue.signingKeyEvents)
  const outbound = createCounter(instruments, catalogue.outboundRequests)
  const outboundTimes = createHistogram(instruments, catalogue.outboundRequestDuration)
  return {
    /** An address that a client named was asked, or refused. */
    outboundRequested(purpose: OutboundPurpose, result: OutboundResult, seconds: number): void {
      outbound({ purpose, result })
      outboundTimes({ purpose }, seconds)
    },
    /** Audit events could not be written. */
    auditEventsDropped(count: number): void {
      dropped({}, count)
    },
    /** A row was not made, since its table was full. */
    rowRefused(table: BoundedTable): void {
      rowsRefused({ table })
    },
    /** A request was refused for a reason that is written down. */
    requestRefused(kind: RefusalKind): void {
      refusals({ kind })
    },
    /** The sweeper ended or deleted rows. */
    sweeperSwept(task: SweeperTask, count: number): void {
      rows({ task }, count)
    },
    /** A task of the sweeper failed. */
    sweeperFailed(task: SweeperTask): void {
      errors({ task })
    },
    /** The sweeper went through all its tasks. */
    sweeperTurn(seconds: number): void {
      turns({}, seconds)
    },
    /** So many signing keys went through this: rows really changed. */
    signingKeys(event: SigningKeyEvent, count: number): void {
      keys({ event }, count)
    },
    /** An uncaught error. */
    uncaughtError(kind: UncaughtKind): void {
      uncaught({ kind })
    },
    /** A connection was closed at once, since there were too many. */
    connectionRefused(limit: ConnectionLimit): void {
      refused({ limit })
    },
    /** An OTLP export failed after its retries. */
    exportFailed(signal: 'metrics' | 'traces'): void {
      exports({ signal })
    },
  }
}

export function populations(instruments: Instruments) {
  const durations = createHistogram(instruments, catalogue.populationQueryDuration)
  const errors = createCounter(instruments, catalogue.databaseQueryErrors)
  return {
    /** The COUNT behind a group of gauges was answered. */
    populationQueried(group: PopulationGroup, seconds: number): void {
      durations({ group }, seconds)
    },
    /** The COUNT behind a group of gauges failed or came too late. */
    populationQueryFailed(group: PopulationGroup): void {
      errors({ operation: `count_${group}` })
    },
  }
}
