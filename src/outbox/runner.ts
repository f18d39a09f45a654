// What one webhook does all day: collects calls, sends what is due, and writes down what became of it.
import type { Clock } from '../base/clock.ts'
import { asGatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Collector } from './collector.ts'
import { headersOf } from './messages.ts'
import { afterAttempt, verdictOn, type RetryLimits } from './retry.ts'
import type { Sender, WebhookAnswer } from './sender.ts'
import type { WebhookStore } from './store.ts'
import type { Delivery, DueDelivery, Webhook } from './webhook.ts'

export interface RunnerLimits extends RetryLimits {
  /** Deliveries of one webhook that are under way at once. */
  readonly maxInFlight: number
  /** Deliveries that may wait, a tenth of it where they are batches; while there are more, calls stay behind the cursor. */
  readonly maxPending: number
}

export interface RunnerParts {
  readonly webhook: Webhook
  readonly store: WebhookStore
  readonly sender: Sender
  /** Absent where calls are not asked for. */
  readonly collector?: Collector | undefined
  readonly clock: Clock
  readonly log: Log
  readonly limits: RunnerLimits
  readonly random: () => number
  /** Opened at each attempt; the first is the current one. */
  readonly secrets: () => readonly string[]
  /** Whether records can be trusted to be complete now. */
  readonly isStoreReady: () => boolean
  readonly onAttempt: (state: 'delivered' | 'failed' | 'dead') => void
  /** The receiver wants nothing more. */
  readonly onGone: (webhookId: string) => void
}

const idleMs = 2000
const afterErrorMs = 1000
/** Between two turns, so that news of many calls make one turn. */
const leastPauseMs = 200
/** Batches are large: fewer are in memory, and fewer wait. */
const dueAtOnce = { single: 100, batch: 8 }
const writeEveryMs = 200
/** Failures in a row after which the receiver is taken to be down: it is asked rarely until it answers. */
const downAfter = 4
const maxDownMs = 60_000

export class Runner {
  readonly #parts: RunnerParts
  readonly #ending = new AbortController()
  #done: Promise<void> = Promise.resolve()
  #wake: (() => void) | undefined
  #woken = false
  #failures = 0
  /** As of the last turn. */
  pending = 0
  oldestMs: number | undefined

  constructor(parts: RunnerParts) {
    this.#parts = parts
  }

  start(): void {
    this.#done = this.#run()
  }

  /** There may be something to do. */
  wake(): void {
    this.#woken = true
    this.#wake?.()
  }

  /** Ends within moments: what is under way is cut off, and sent again by the next start. */
  async stop(): Promise<void> {
    this.#ending.abort()
    this.wake()
    await this.#done
    this.#parts.sender.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      let waitMs = afterErrorMs
      try {
        this.#woken = false
        waitMs = await this.#turn()
      } catch (err) {
        if (!signal.aborted)
          this.#parts.log.warn(
            { err: asGatewayError(err), webhook: this.#parts.webhook.id },
            'a webhook stalled',
          )
      }
      if (waitMs > 0) await this.#sleep(waitMs)
    }
  }

  /** Returns how long there is nothing to do, unless somebody wakes it. */
  async #turn(): Promise<number> {
    const { webhook, store, collector, clock, limits, isStoreReady } = this.#parts
    const queue = await store.queue(webhook.id)
    this.pending = queue.pending
    this.oldestMs = queue.oldestMs
    if (!webhook.active) return idleMs
    const maxPending = webhook.batch ? limits.maxPending / 10 : limits.maxPending
    const maxDue = webhook.batch ? dueAtOnce.batch : dueAtOnce.single
    const hasRoom = queue.pending < maxPending && isStoreReady()
    const collected = collector && hasRoom ? await collector.collect() : { again: false }
    const due = await store.due(webhook.id, clock.now(), maxDue)
    const isFull = due.length === maxDue
    await this.#sendAll(due)
    if (this.#failures >= downAfter)
      return Math.min(limits.firstPauseMs * 2 ** (this.#failures - downAfter), maxDownMs)
    if (collected.again || isFull) return 0
    const nextMs = ((await store.nextAt(webhook.id)) ?? Infinity) - clock.now()
    return Math.max(leastPauseMs, Math.min(idleMs, nextMs, collected.waitMs ?? Infinity))
  }

  /** Sends with a few at once; what became of them is written down as it comes. */
  async #sendAll(due: DueDelivery[]): Promise<void> {
    if (due.length === 0) return
    const { store, webhook, limits, clock } = this.#parts
    const tried: Delivery[] = []
    let writing = Promise.resolve()
    const write = () => {
      const part = tried.splice(0)
      if (part.length > 0) writing = writing.then(() => store.record(webhook.id, part))
      return writing
    }
    const timer = setInterval(() => void write().catch(() => {}), writeEveryMs)
    const before = this.#failures
    try {
      const lanes = Array.from({ length: limits.maxInFlight }, () => this.#lane(due, tried))
      await Promise.all(lanes)
    } finally {
      clearInterval(timer)
    }
    await write()
    // The receiver is back: nothing that failed for its absence waits any longer.
    if (before >= downAfter && this.#failures === 0) await store.hurry(webhook.id, clock.now())
  }

  async #lane(due: DueDelivery[], tried: Delivery[]): Promise<void> {
    const { signal } = this.#ending
    for (let next = due.shift(); next && !signal.aborted; next = due.shift()) {
      const delivery = await this.#attempt(next)
      if (!delivery) return
      tried.push(delivery)
      if (this.#failures >= downAfter) return
    }
  }

  async #attempt(due: DueDelivery): Promise<Delivery | undefined> {
    const { webhook, clock, limits, random, onAttempt, onGone } = this.#parts
    const { body: _, ...delivery } = due
    const answer = await this.#send(due)
    if ('error' in answer && this.#ending.signal.aborted) return undefined
    const verdict = verdictOn(webhook.format, answer)
    const after = afterAttempt(delivery, answer, { verdict, nowMs: clock.now(), jitter: random(), limits })
    this.#failures = verdict === 'delivered' || verdict === 'never' ? 0 : this.#failures + 1
    onAttempt(after.state === 'pending' ? 'failed' : after.state)
    if (verdict === 'gone') onGone(webhook.id)
    return after
  }

  async #send(due: DueDelivery): Promise<WebhookAnswer> {
    const { webhook, sender, clock, secrets } = this.#parts
    const { url } = webhook
    let headers: Record<string, string>
    try {
      headers = headersOf(webhook, due, { secrets: secrets(), nowMs: clock.now() })
    } catch {
      return { error: 'the secret cannot be opened; rotate it' }
    }
    return sender.send({ url, headers, body: due.body }, this.#ending.signal)
  }

  /** Sleeps until it is woken, but at least for a moment; a receiver that is down is not asked sooner for any news. */
  async #sleep(ms: number): Promise<void> {
    const { signal } = this.#ending
    const isDown = this.#failures >= downAfter
    await this.#pause(Math.min(ms, leastPauseMs), signal)
    if (ms <= leastPauseMs || signal.aborted || (this.#woken && !isDown)) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms - leastPauseMs)
      this.#wake = () => {
        if (isDown && !signal.aborted) return
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = undefined
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      signal.addEventListener('abort', end, { once: true })
    })
  }
}
