// Builds what tells others of events: webhooks, with what they read and how they are watched.
import manifest from '../../package.json' with { type: 'json' }
import type { Clock } from '../base/clock.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Lifecycle } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import type { MetricRegistry } from '../http/metric.ts'
import { OutboxEventStore } from '../outbox/event-store.ts'
import { WebhookStore } from '../outbox/store.ts'
import { Webhooks } from '../outbox/webhooks.ts'
import type { SettledCalls } from '../sessions/settled.ts'
import type { Egress } from '../upstreams/egress.ts'
import type { OpenCalls } from '../usage/open-calls.ts'
import type { UsageQueries } from '../usage/queries.ts'
import type { UsageWriter } from '../usage/writer.ts'

const hourMs = 3_600_000

interface OutboxParts {
  readonly config: Pick<RunnableConfig, 'webhooks'>
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly keyring: Keyring
  readonly metrics: { readonly registry: MetricRegistry }
  readonly lifecycle: Lifecycle
  readonly egress: Egress
  readonly queries: UsageQueries
  readonly openCalls: OpenCalls
  readonly settled: SettledCalls
  readonly writer: Pick<UsageWriter<never>, 'accepting'>
  readonly publicUrl: () => string
}

/** Webhooks over the store; `start` begins to deliver, once the gateway knows its own URL. */
export function buildOutbox(parts: OutboxParts) {
  const { config, db, clock, metrics, lifecycle, publicUrl, settled, writer } = parts
  const { timeoutMs, retryMs: firstPauseMs, giveUpMs } = config.webhooks
  const { registry } = metrics
  const attempts = registry.counter(
    'tollbridge_webhook_attempts_total',
    'Attempts to deliver: delivered, failed (tried again) or dead (given up).',
    'state',
  )
  const webhooks = new Webhooks({
    ...parts,
    store: new WebhookStore(db),
    events: new OutboxEventStore(db),
    seal: parts.keyring,
    source: publicUrl,
    userAgent: `tollbridge/${manifest.version}`,
    limits: {
      timeoutMs,
      firstPauseMs,
      giveUpMs,
      maxPauseMs: 6 * hourMs,
      maxInFlight: 4,
      maxPending: 1000,
      maxWebhooks: 100,
    },
    isStoreReady: () => writer.accepting,
    onAttempt: (state) => attempts.with(state).inc(),
  })
  watchQueue(registry, webhooks, clock)
  settled.listen(() => webhooks.callSettled())
  const start = async (): Promise<void> => {
    lifecycle.onStop('webhooks', () => webhooks.stop())
    await webhooks.start()
  }
  return { webhooks, start }
}

function watchQueue(registry: MetricRegistry, webhooks: Webhooks, clock: Clock): void {
  const pending = registry
    .gauge('tollbridge_webhook_pending', 'Deliveries that have not arrived and are not dead.')
    .with()
  const oldest = registry
    .gauge('tollbridge_webhook_oldest_seconds', 'Age of the oldest event among them; 0 where there is none.')
    .with()
  registry.beforeRender(() => {
    const queue = webhooks.queue()
    pending.set(queue.pending)
    oldest.set(queue.oldestMs === undefined ? 0 : Math.max(0, (clock.now() - queue.oldestMs) / 1000))
  })
}
