// All webhooks: made, changed and removed, each with its runner; and events dealt out to those that ask for them.
import { randomInt } from 'node:crypto'
import { GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import type { Egress } from '../upstreams/egress.ts'
import { checkWebhookUrl } from './address.ts'
import { Collector, positionNow, viewNow, type CollectorParts } from './collector.ts'
import type { OutboxEventStore } from './event-store.ts'
import { eventDelivery, headersOf } from './messages.ts'
import { Runner, type RunnerLimits } from './runner.ts'
import { WebhookSecrets, type SecretSeal } from './secrets.ts'
import { Sender, type WebhookAnswer } from './sender.ts'
import { isSigningSecret, newSigningSecret } from './signature.ts'
import type { WebhookStore } from './store.ts'
import type { Delivery, DeliveryState, StoredWebhook, Webhook } from './webhook.ts'

export interface WebhookLimits extends RunnerLimits {
  readonly maxWebhooks: number
  readonly timeoutMs: number
}

export interface WebhooksParts extends Omit<CollectorParts, 'store'> {
  readonly store: WebhookStore
  readonly events: OutboxEventStore
  readonly egress: Egress
  readonly seal: SecretSeal
  readonly log: Log
  readonly limits: WebhookLimits
  readonly userAgent: string
  readonly isStoreReady: () => boolean
  readonly onAttempt: (state: 'delivered' | 'failed' | 'dead') => void
}

export type WebhookInput = Omit<
  Webhook,
  'id' | 'createdBy' | 'createdAtMs' | 'updatedAtMs' | 'disabledReason'
>
/** `batch: null` takes it away. */
export type WebhookChange = Partial<Omit<WebhookInput, 'format' | 'batch'>> & {
  readonly batch?: Webhook['batch'] | null
}

interface Live {
  readonly stored: StoredWebhook
  readonly collector: Collector | undefined
  readonly runner: Runner
}

const dealEveryMs = 500
const dealtAtOnce = 100
const pruneEveryMs = 60_000
const keptDelivered = 1000
const keptDeadMs = 30 * 86_400_000
/** How long a rotated secret signs beside the new one. */
const formerMs = 24 * 3_600_000

export class Webhooks {
  readonly #parts: WebhooksParts
  readonly #secrets: WebhookSecrets
  readonly #live = new Map<string, Live>()
  /** Changes and the dealing out of events run one after another. */
  #turn: Promise<unknown> = Promise.resolve()
  readonly #timers: NodeJS.Timeout[] = []
  #stopped = false

  constructor(parts: WebhooksParts) {
    this.#parts = parts
    this.#secrets = new WebhookSecrets(parts.seal)
  }

  /** Loads and starts everything. */
  async start(): Promise<void> {
    for (const stored of await this.#parts.store.load()) this.#begin(stored)
    this.#every(dealEveryMs, 'events could not be dealt out', () => this.#deal())
    this.#every(pruneEveryMs, 'old deliveries could not be removed', () => this.#prune())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) clearInterval(timer)
    await this.#turn
    await Promise.all(Array.from(this.#live.values(), ({ runner }) => runner.stop()))
  }

  /** A call has become durable. */
  callSettled(): void {
    for (const { collector, runner } of this.#live.values()) if (collector) runner.wake()
  }

  /** Deliveries that wait, and since when the oldest of their events has. */
  queue(): { pending: number; oldestMs: number | undefined } {
    const runners = Array.from(this.#live.values(), ({ runner }) => runner)
    const times = runners.flatMap((runner) => runner.oldestMs ?? [])
    return {
      pending: runners.reduce((sum, runner) => sum + (runner.pending ?? 0), 0),
      oldestMs: times.length > 0 ? Math.min(...times) : undefined,
    }
  }

  /** Oldest first. */
  list(): Webhook[] {
    return Array.from(this.#live.values(), ({ stored }) => stored.webhook).sort((a, b) =>
      a.id < b.id ? -1 : 1,
    )
  }

  /** Throws `not_found`. */
  get(id: string): Webhook {
    return this.#find(id).stored.webhook
  }

  /** `secret` signs, or is the bearer token of the format; where it signs, one is made. Returned once. */
  create(
    input: WebhookInput,
    { secret, createdBy }: { secret?: string | undefined; createdBy: string },
  ): Promise<{ webhook: Webhook; secret: string | undefined }> {
    return this.#inTurn(async () => {
      const { store, clock, egress, limits } = this.#parts
      if (this.#live.size >= limits.maxWebhooks)
        throw new GatewayError('unprocessable', {
          detail: `There may be ${limits.maxWebhooks} webhooks; delete some.`,
        })
      checkWebhookUrl(egress, input.url)
      checkShape(input)
      const now = clock.now()
      const id = newId('whk', now)
      const webhook = { ...input, id, createdBy, createdAtMs: now, updatedAtMs: now }
      const chosen = chooseSecret(input.format, secret)
      const stored = this.#positioned({ webhook, secrets: this.#secrets.seal(id, chosen) })
      await store.insert(stored)
      this.#begin(stored)
      return { webhook, secret: chosen }
    })
  }

  change(id: string, change: WebhookChange): Promise<Webhook> {
    return this.#inTurn(async () => {
      const { clock, egress } = this.#parts
      const { webhook: before, secrets } = this.#find(id).stored
      const { batch: former, disabledReason, ...kept } = before
      const { batch = former, ...others } = change
      const webhook: Webhook = {
        ...kept,
        ...others,
        ...(batch && { batch }),
        ...(change.active === undefined && disabledReason !== undefined && { disabledReason }),
        updatedAtMs: clock.now(),
      }
      if (change.url !== undefined) checkWebhookUrl(egress, change.url)
      checkShape(webhook)
      await this.#replace(id, { webhook, secrets })
      return webhook
    })
  }

  /** The secret before signs too for a day. */
  rotate(id: string, secret?: string): Promise<{ webhook: Webhook; secret: string | undefined }> {
    return this.#inTurn(async () => {
      const { clock } = this.#parts
      const { webhook: before, secrets } = this.#find(id).stored
      const webhook = { ...before, updatedAtMs: clock.now() }
      if (webhook.format !== 'standard' && secret === undefined) throw invalid('/secret', 'must be given')
      const chosen = chooseSecret(webhook.format, secret)
      const { current } = secrets
      const former =
        webhook.format === 'standard' && current !== undefined
          ? { former: { sealed: current, untilMs: clock.now() + formerMs } }
          : {}
      await this.#replace(id, { webhook, secrets: { ...this.#secrets.seal(id, chosen), ...former } })
      return { webhook, secret: chosen }
    })
  }

  /** Seals anew the secrets that another key has sealed than the one that seals now; returns how many those were. */
  reseal(): Promise<number> {
    return this.#inTurn(async () => {
      let count = 0
      for (const [id, { stored }] of this.#live) {
        const due = this.#secrets.countSealedOtherwise(stored.secrets)
        if (due === 0) continue
        const secrets = this.#secrets.reseal(id, stored.secrets)
        await this.#replace(id, { webhook: stored.webhook, secrets })
        count += due
      }
      return count
    })
  }

  countSealedOtherwise(): Promise<number> {
    const counts = Array.from(this.#live.values(), ({ stored }) =>
      this.#secrets.countSealedOtherwise(stored.secrets),
    )
    return Promise.resolve(counts.reduce((sum, count) => sum + count, 0))
  }

  delete(id: string): Promise<void> {
    return this.#inTurn(async () => {
      const live = this.#find(id)
      await live.runner.stop()
      try {
        await this.#parts.store.delete(id)
        this.#live.delete(id)
      } catch (error) {
        this.#begin(live.stored, live.collector?.position)
        throw error
      }
    })
  }

  /** Sends a sample now, whether it is active or not; nothing is kept of it. */
  async test(id: string): Promise<{ answer: WebhookAnswer; durationMs: number }> {
    const { clock } = this.#parts
    const { webhook, secrets } = this.#find(id).stored
    if (webhook.format === 'stripe-meter')
      throw new GatewayError('unprocessable', {
        detail: 'A sample would be billed by Stripe; make a call and look at the deliveries instead.',
      })
    const now = clock.now()
    const event = { id: newId('evt', now), kind: 'webhook.test', body: { webhookId: id }, atMs: now } as const
    const delivery = eventDelivery(webhook, event, this.#parts.source())
    const sample = { id: event.id, body: delivery?.body ?? '' }
    const headers = headersOf(webhook, sample, { secrets: this.#secrets.open(id, secrets, now), nowMs: now })
    const sender = this.#sender()
    const started = clock.monotonicMs()
    try {
      const request = { url: webhook.url, headers, body: sample.body }
      const answer = await sender.send(request, new AbortController().signal)
      return { answer, durationMs: Math.round(clock.monotonicMs() - started) }
    } finally {
      sender.close()
    }
  }

  deliveries(
    id: string,
    page: { limit: number; before?: string | undefined; state?: DeliveryState | undefined },
  ): Promise<Delivery[]> {
    this.#find(id)
    return this.#parts.store.list(id, page)
  }

  /** Dead deliveries, or the named one, begin anew. Returns how many. */
  async redeliver(id: string, deliveryId?: string): Promise<number> {
    const { runner } = this.#find(id)
    const revived = await this.#parts.store.revive(id, deliveryId)
    runner.wake()
    return revived
  }

  /** Switches a webhook off whose receiver wants nothing more. */
  #disable(id: string): void {
    const disabledReason = 'The receiver answered 410 Gone.'
    void this.#inTurn(async () => {
      const live = this.#live.get(id)
      if (!live?.stored.webhook.active || this.#stopped) return
      const { webhook, secrets } = live.stored
      const updatedAtMs = this.#parts.clock.now()
      await this.#replace(id, {
        webhook: { ...webhook, active: false, disabledReason, updatedAtMs },
        secrets,
      })
      this.#parts.log.warn({ webhook: id }, 'a webhook was switched off: its receiver is gone')
    }).catch((err: unknown) =>
      this.#parts.log.warn({ err, webhook: id }, 'a webhook could not be switched off'),
    )
  }

  /** Ends the runner, writes, and starts the runner of what was written; of what was there where that fails. */
  async #replace(id: string, next: Pick<StoredWebhook, 'webhook' | 'secrets'>): Promise<void> {
    const live = this.#find(id)
    await live.runner.stop()
    const position = live.collector?.position
    const before = { ...live.stored, ...(position && { position }) }
    const stored = this.#positioned({ ...next, ...(position && { position }) })
    try {
      await this.#parts.store.update(stored)
    } catch (error) {
      this.#begin(before)
      throw error
    }
    this.#begin(stored)
  }

  /** Calls are followed from now on where they are asked for, and no longer where they are not. */
  #positioned({ webhook, secrets, position }: StoredWebhook): StoredWebhook {
    if (!webhook.kinds.includes('call.settled')) return { webhook, secrets }
    return {
      webhook,
      secrets,
      position: position ?? positionNow({ view: viewNow(this.#parts.openCalls) }),
    }
  }

  #begin(stored: StoredWebhook, position = stored.position): void {
    const { webhook, secrets } = stored
    const collector = position && new Collector(webhook, position, this.#parts)
    const runner = new Runner({
      ...this.#parts,
      webhook,
      collector,
      sender: this.#sender(),
      random: () => randomInt(1000) / 1000,
      secrets: () => this.#secrets.open(webhook.id, secrets, this.#parts.clock.now()),
      onGone: (id) => this.#disable(id),
    })
    this.#live.set(webhook.id, { stored, collector, runner })
    if (!this.#stopped) runner.start()
  }

  #sender(): Sender {
    const { egress, limits, userAgent } = this.#parts
    const { timeoutMs, maxInFlight: maxConnections } = limits
    return new Sender({ egress, timeoutMs, maxConnections, userAgent })
  }

  /** Turns events into deliveries of whoever asks for them, and takes them out of the queue in the same commit. */
  async #deal(): Promise<void> {
    await this.#inTurn(async () => {
      const { store, events, source } = this.#parts
      for (let full = true; full && !this.#stopped;) {
        const page = await events.oldest(dealtAtOnce)
        full = page.length === dealtAtOnce
        if (page.length === 0) return
        const statements = this.list().flatMap((webhook) => {
          const asked = page.filter(({ kind }) => webhook.kinds.includes(kind))
          const made = asked.flatMap((event) => eventDelivery(webhook, event, source()) ?? [])
          return store.addDeliveries(webhook.id, made)
        })
        await store.write(...statements, events.remove(page.map(({ id }) => id)))
        for (const { runner } of this.#live.values()) runner.wake()
      }
    })
  }

  async #prune(): Promise<void> {
    const deadBeforeMs = this.#parts.clock.now() - keptDeadMs
    for (const id of this.#live.keys())
      if (!this.#stopped) await this.#parts.store.prune(id, { keep: keptDelivered, deadBeforeMs })
  }

  #every(ms: number, what: string, work: () => Promise<void>): void {
    let running = false
    const run = () => {
      if (running) return
      running = true
      void work()
        .catch((err: unknown) => this.#parts.log.warn({ err }, what))
        .finally(() => (running = false))
    }
    this.#timers.push(setInterval(run, ms))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  #find(id: string): Live {
    const live = this.#live.get(id)
    if (!live) throw new GatewayError('not_found')
    return live
  }
}

const invalid = (field: string, message: string): GatewayError =>
  new GatewayError('validation_failed', { fields: [{ field, message }], detail: `${field}: ${message}.` })

function chooseSecret(format: Webhook['format'], secret: string | undefined): string | undefined {
  if (format === 'standard' && secret !== undefined && !isSigningSecret(secret))
    throw invalid('/secret', 'must be whsec_ and 24 to 64 bytes in base64')
  if (format === 'stripe-meter' && secret === undefined)
    throw invalid('/secret', 'must be a secret key of Stripe')
  return secret ?? (format === 'standard' ? newSigningSecret() : undefined)
}

function checkShape({
  format,
  kinds,
  batch,
  stripe,
}: Pick<Webhook, 'format' | 'kinds' | 'batch' | 'stripe'>): void {
  if ((format === 'stripe-meter') !== (stripe !== undefined))
    throw invalid('/stripe', 'goes with the format stripe-meter, and has to')
  if (format !== 'stripe-meter') return
  if (kinds.some((kind) => kind !== 'call.settled'))
    throw invalid('/kinds', 'can only be call.settled for Stripe')
  if (batch) throw invalid('/batch', 'does not go with stripe-meter: Stripe takes one event at a time')
}
