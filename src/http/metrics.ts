// The gateway's own metrics by name, the process's vital signs, and the endpoint that shows them.
import { createHash, timingSafeEqual } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { GatewayError } from '../base/errors.ts'
import { MetricRegistry, type Counter, type Gauge, type Histogram } from './metric.ts'
import { Answer, defineRoute, type Route } from './api/route.ts'

/** Seconds; from a fast local tool to a long one. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
/** Seconds; an fsync takes from a tenth of a millisecond to whole seconds. */
const commitBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]

export interface GatewayMetrics {
  readonly registry: MetricRegistry
  /** The counter of calls with this outcome; keep it where the path is hot. */
  callsBy(outcome: string): Counter
  readonly callDurationSeconds: Histogram
  readonly storeCommitSeconds: Histogram
  /** Those that stay open until somebody ends them: of sessions, and subscriptions. */
  readonly streams: Gauge
  readonly sessions: Gauge
  /** The counter of payments for single calls that ended so. */
  paymentsBy(outcome: string): Counter
  /** The counter of payloads of calls that were kept, or were not. */
  payloadsBy(outcome: string): Counter
}

/** The metrics of one gateway, all at zero. */
export function createMetrics(version: string): GatewayMetrics {
  const registry = new MetricRegistry()
  const calls = registry.counter('tollbridge_calls_total', 'Recorded calls.', 'outcome')
  const payments = registry.counter('tollbridge_call_payments_total', 'Payments for single calls.', 'outcome')
  const payloads = registry.counter(
    'tollbridge_payloads_total',
    'Payloads of calls, kept or dropped.',
    'outcome',
  )
  registry
    .gauge('tollbridge_build_info', 'Always 1; the version is the label.', 'version')
    .with(version)
    .set(1)
  return {
    registry,
    callsBy: (outcome) => calls.with(outcome),
    paymentsBy: (outcome) => payments.with(outcome),
    payloadsBy: (outcome) => payloads.with(outcome),
    callDurationSeconds: registry
      .histogram('tollbridge_call_duration_seconds', 'From the request to its final answer.', durationBuckets)
      .with(),
    storeCommitSeconds: registry
      .histogram('tollbridge_store_commit_seconds', 'One durable commit of usage.', commitBuckets)
      .with(),
    streams: registry.gauge('tollbridge_streams', 'Open streams of sessions, and subscriptions.').with(),
    sessions: registry.gauge('tollbridge_sessions', 'Open sessions.').with(),
  }
}

/** Watches the process; values are read when they are asked for. Returns how to stop watching. */
export function watchProcess(registry: MetricRegistry): () => void {
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  const lag = registry.gauge('tollbridge_event_loop_lag_seconds', 'Lag since the last scrape.', 'quantile')
  const resident = registry.gauge('process_resident_memory_bytes', 'Resident memory.').with()
  const heap = registry.gauge('tollbridge_heap_used_bytes', 'JavaScript heap in use.').with()
  const descriptors = registry.gauge('process_open_fds', 'Open file descriptors.').with()
  const cpu = registry
    .gauge('process_cpu_seconds_total', 'User and system time.', undefined, 'counter')
    .with()
  const start = registry.gauge('process_start_time_seconds', 'Unix time of the start.').with()
  start.set(Math.floor(performance.timeOrigin / 1000))
  registry.beforeRender(() => {
    const memory = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    resident.set(memory.rss)
    heap.set(memory.heapUsed)
    cpu.set((user + system) / 1e6)
    descriptors.set(countDescriptors())
    for (const quantile of [50, 99]) lag.with(`0.${quantile}`).set(delay.percentile(quantile) / 1e9)
    delay.reset()
  })
  return () => {
    delay.disable()
  }
}

/** Linux tells by /proc; elsewhere the number is not known and stays 0. */
function countDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return 0
  }
}

/**
 * `GET /metrics` in the Prometheus text format. With a token it wants that token as Bearer; without one it is open
 * where `open` says so (the gateway listens on loopback only), else refused.
 */
export function metricsRoutes(options: {
  readonly registry: MetricRegistry
  readonly token: string | undefined
  readonly open: boolean
}): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/metrics',
      summary: 'Metrics in the Prometheus text format',
      permission: 'public',
      contentType: 'text/plain',
      errors: [401],
      handler: ({ headers }) => {
        if (!mayRead(options, headers.authorization)) {
          throw new GatewayError('unauthorized', {
            detail: 'Metrics need the token of metrics.token as Bearer; the gateway is configured with it.',
          })
        }
        return new Answer('text/plain; version=0.0.4; charset=utf-8', options.registry.render())
      },
    }),
  ]
}

function mayRead(
  options: { token: string | undefined; open: boolean },
  authorization: string | undefined,
): boolean {
  if (options.token === undefined) return options.open
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(authorization ?? ''), hash(`Bearer ${options.token}`))
}
