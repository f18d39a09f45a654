// The single writer of the hot path: groups settled calls into durable commits and tells each caller when its is done.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { GatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { usageRows } from './batch.ts'
import type { Dimensions } from './dimensions.ts'
import type { UsageRecord } from './record.ts'
import type { HotRow, UsageStore } from './store.ts'

/** A call that has its outcome and its price, with the rows of other folders that must commit together with it. */
export interface SettledCall {
  readonly record: UsageRecord
  /** Runs once: without an error when everything is durable, with one when nothing of it counts. */
  readonly done: (error?: GatewayError) => void
}

export interface WriterOptions<Extra> {
  readonly store: UsageStore
  readonly dimensions: Dimensions
  readonly log: Log
  /** Rows for the extras of a whole batch (the ledger's transfers and balances). */
  readonly extraRows: (extras: readonly Extra[]) => HotRow[]
  /** Runs after the store took a probe again and before calls are accepted: fold memory anew from the store. */
  readonly onHeal: () => Promise<void>
  readonly maxBatch: number
  readonly maxQueue: number
  readonly probeEveryMs: number
  /** Observes each commit: calls in it, milliseconds it took. */
  readonly onCommit?: (calls: number, ms: number) => void
}

interface Waiting<Extra> extends SettledCall {
  readonly extras: readonly Extra[]
}

/** Turns of the event loop that a commit is held back for company at most. */
const maxTurns = 16
/** Turns in a row in which nothing began or settled, after which no more company is expected. */
const maxQuietTurns = 3

/**
 * One commit is in flight at a time; what arrives meanwhile forms the next batch. So an idle gateway commits at once
 * and a busy one in large groups. When a commit fails, every call in it and behind it is told so, nothing more is
 * accepted, and the store is probed until it takes writes again.
 */
export class UsageWriter<Extra> {
  readonly #options: WriterOptions<Extra>
  #queue: Waiting<Extra>[] = []
  /** Calls announced and submitted so far: while it grows, waiting costs nobody anything. */
  #pulse = 0
  #committing: Promise<void> | undefined
  /** Calls submitted and told so far; both only grow, in the same order. */
  #submitted = 0
  #told = 0
  readonly #waiters: { readonly upTo: number; readonly resolve: () => void }[] = []
  #failed = false
  #probe: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: WriterOptions<Extra>) {
    this.#options = options
  }

  /** Whether a call can be accepted: ask before it is sent upstream, and again before it is settled. */
  get accepting(): boolean {
    return !this.#failed && !this.#closed && this.#queue.length < this.#options.maxQueue
  }

  /** A call has begun that will be submitted: a commit that is about to start may wait for it. */
  announce(): void {
    this.#pulse++
  }

  /** Queues a settled call. Must be called in the same turn in which `accepting` was true. */
  submit(call: SettledCall, extras: readonly Extra[]): void {
    this.#pulse++
    this.#submitted++
    this.#queue.push({ record: call.record, done: call.done, extras })
    this.#committing ??= this.#run()
  }

  /** Resolves once everything submitted until now is durable or has failed; what comes later is not waited for. */
  settledSoFar(): Promise<void> {
    const upTo = this.#submitted
    if (this.#told >= upTo) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ upTo, resolve }))
  }

  /** Resolves when everything that was submitted has its answer. */
  async flush(): Promise<void> {
    while (this.#committing) await this.#committing
  }

  async close(): Promise<void> {
    await this.flush()
    this.#closed = true
    clearTimeout(this.#probe)
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#gather()
      const batch = this.#queue.splice(0, this.#options.maxBatch)
      const failure = await this.#commit(batch)
      if (failure) this.#fail(failure, batch)
      else for (const call of batch) this.#tell(call)
    }
    this.#committing = undefined
  }

  /**
   * Lets calls that are about to settle share the commit: waits turns of the event loop for as long as they bring
   * calls, begun or settled. A single call waits for one quiet turn, several for up to three, and nobody for more than `maxTurns`. A turn takes
   * microseconds on an idle gateway and is full of answers on a busy one.
   */
  async #gather(): Promise<void> {
    let quietTurns = 0
    for (let turn = 0; turn < maxTurns && quietTurns < Math.min(this.#queue.length, maxQuietTurns); turn++) {
      const before = this.#pulse
      await nextTurn()
      quietTurns = this.#pulse > before ? 0 : quietTurns + 1
    }
  }

  async #commit(batch: readonly Waiting<Extra>[]): Promise<unknown> {
    const { store, dimensions, extraRows, onCommit } = this.#options
    const started = performance.now()
    try {
      const rows = usageRows(batch, dimensions)
      for (const row of extraRows(batch.flatMap((call) => call.extras))) rows.push(row)
      await store.commit(rows)
      onCommit?.(batch.length, performance.now() - started)
      return undefined
    } catch (error) {
      return error ?? new Error('commit failed')
    }
  }

  #fail(cause: unknown, batch: readonly Waiting<Extra>[]): void {
    this.#failed = true
    this.#options.log.error(
      { err: cause, calls: batch.length + this.#queue.length },
      'usage could not be committed',
    )
    this.#options.dimensions.clear()
    const error = new GatewayError('store_unavailable', { cause, retryAfterS: 1 })
    for (const call of [...batch, ...this.#queue.splice(0)]) this.#tell(call, error)
    this.#probeLater()
  }

  /** A caller that throws must keep neither the others from their answers nor the next batch from its commit. */
  #tell(call: SettledCall, error?: GatewayError): void {
    try {
      call.done(error)
    } catch (thrown) {
      this.#options.log.error({ err: thrown }, 'a settled call could not be answered')
    }
    this.#told++
    while (this.#waiters[0] && this.#waiters[0].upTo <= this.#told) this.#waiters.shift()?.resolve()
  }

  #probeLater(): void {
    this.#probe = setTimeout(() => void this.#heal(), this.#options.probeEveryMs)
    this.#probe.unref()
  }

  async #heal(): Promise<void> {
    try {
      await this.#options.store.probe()
      await this.#options.onHeal()
      this.#failed = false
      this.#options.log.info({}, 'the usage store takes writes again')
    } catch (error) {
      this.#options.log.debug({ err: error }, 'the usage store is still unavailable')
      if (!this.#closed) this.#probeLater()
    }
  }
}
