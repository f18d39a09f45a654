// Builds what keeps the payloads of calls.
import type { Clock } from '../base/clock.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Lifecycle } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { Database } from '../db/database.ts'
import type { GatewayMetrics } from '../http/metrics.ts'
import { Payloads } from '../payloads/payloads.ts'
import { PayloadStore } from '../payloads/store.ts'
import type { SettledCalls } from '../sessions/settled.ts'

interface PayloadParts {
  readonly db: Database
  readonly keyring: Keyring
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<GatewayMetrics, 'payloadsBy'>
  readonly lifecycle: Lifecycle
  readonly settled: SettledCalls
}

export function buildPayloads(parts: PayloadParts): {
  payloads: Payloads
  payloadStore: PayloadStore
} {
  const { db, keyring, clock, log, metrics, lifecycle, settled } = parts
  const payloadStore = new PayloadStore(db, keyring)
  const payloads = new Payloads({
    store: payloadStore,
    clock,
    log,
    onDone: (outcome) => metrics.payloadsBy(outcome).inc(),
  })
  settled.listen(({ record }) => payloads.recorded(record.id))
  lifecycle.onStop('payloads', () => payloads.flush())
  return { payloads, payloadStore }
}
