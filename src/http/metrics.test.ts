// What /metrics shows, and what a caller cannot do to it.
import { describe, expect, test } from 'vitest'
import { Answer, type Context } from './api/route.ts'
import { MetricRegistry } from './metric.ts'
import { createMetrics, metricsRoutes, watchProcess } from './metrics.ts'

describe('the exposition', () => {
  test('shows counters, gauges and cumulative buckets in the text format', () => {
    const metrics = createMetrics('1.2.3')
    metrics.callsBy('success').inc()
    metrics.callsBy('success').inc(2)
    metrics.sessions.inc()
    metrics.callDurationSeconds.observe(0.002)
    metrics.callDurationSeconds.observe(0.003)
    metrics.callDurationSeconds.observe(1000)
    const text = metrics.registry.render()
    expect(text).toContain(
      '# TYPE tollbridge_calls_total counter\ntollbridge_calls_total{outcome="success"} 3\n',
    )
    expect(text).toContain('tollbridge_build_info{version="1.2.3"} 1\n')
    expect(text).toContain('tollbridge_sessions 1\n')
    expect(text).toContain('tollbridge_call_duration_seconds_bucket{le="0.0025"} 1\n')
    expect(text).toContain('tollbridge_call_duration_seconds_bucket{le="0.005"} 2\n')
    expect(text).toContain('tollbridge_call_duration_seconds_bucket{le="+Inf"} 3\n')
    expect(text).toContain('tollbridge_call_duration_seconds_count 3\n')
  })

  test('has one help, one type and only well-formed lines for every metric', () => {
    const metrics = createMetrics('1')
    const stop = watchProcess(metrics.registry)
    const text = metrics.registry.render()
    stop()
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"]*"(,le="[^"]*")?\})? \S+)$/)
    expect(text).toMatch(/process_resident_memory_bytes [1-9]/)
    expect(text).toContain('tollbridge_event_loop_lag_seconds{quantile="0.99"}')
  })

  test('escapes label values, so that one cannot add a line', () => {
    const registry = new MetricRegistry()
    registry.counter('x_total', 'X.', 'name').with('a"\n\\b').inc()
    expect(registry.render()).toContain(String.raw`x_total{name="a\"\n\\b"} 1`)
  })

  test('keeps a label to a bounded set of values; the rest share _other', () => {
    const registry = new MetricRegistry()
    const family = registry.counter('x_total', 'X.', 'name')
    for (let n = 0; n < 1000; n++) family.with(`value${n}`).inc()
    const text = registry.render()
    expect(text.split('\n').length).toBeLessThan(70)
    expect(text).toContain('x_total{name="_other"} 936\n')
  })
})

describe('/metrics', () => {
  const read = (token: string | undefined, open: boolean, authorization?: string) => {
    const [route] = metricsRoutes({ registry: createMetrics('1').registry, token, open })
    return route?.handler({ headers: { authorization } } as unknown as Context)
  }

  test('with a token refuses everything else', () => {
    expect(read('t0ken', true, 'Bearer t0ken')).toBeInstanceOf(Answer)
    expect(() => read('t0ken', true)).toThrow(/token/)
    expect(() => read('t0ken', true, 'Bearer other')).toThrow(/token/)
  })

  test('without a token is open on loopback only', () => {
    expect(read(undefined, true)).toBeInstanceOf(Answer)
    expect(() => read(undefined, false)).toThrow(/token/)
  })
})
