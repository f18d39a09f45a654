// Builds the limits: how many calls may come, and run at once.
import { systemClock as clock } from '../base/clock.ts'
import type { Database } from '../db/database.ts'
import type { MetricRegistry } from '../http/metric.ts'
import { Limits } from '../policy/limits/limits.ts'
import { limitStore } from '../policy/named-store.ts'

interface LimitParts {
  readonly db: Database
  readonly metrics: { readonly registry: MetricRegistry }
}

export async function buildLimits({ db, metrics }: LimitParts): Promise<Limits> {
  const refused = metrics.registry.counter(
    'tollbridge_rate_limited_total',
    'Calls that a limit refused, by its name.',
    'limit',
  )
  const limits = new Limits({
    store: limitStore(db),
    clock,
    onRefused: ({ name }) => refused.with(name).inc(),
  })
  await limits.load()
  return limits
}
