// How long single records are kept: whole days of them go when they are old enough, in small batches.
import type { Clock } from '../base/clock.ts'
import { CallIds } from '../base/id.ts'
import { dayMs, type RetentionStore } from './retention-store.ts'

/** Records of one commit: those of calls wait behind it. */
const recordsAtOnce = 500

interface RetentionOptions {
  readonly store: RetentionStore
  readonly clock: Clock
  /** Undefined: records are kept for ever. */
  readonly recordDays: number | undefined
  /** Drops what was kept with records below this id, such as the answers of their idempotency keys. */
  readonly dropWith: (before: bigint) => Promise<void>
}

export class Retention {
  readonly #options: RetentionOptions
  #droppedBeforeMs = 0
  #running: Promise<number> | undefined

  constructor(options: RetentionOptions) {
    this.#options = options
  }

  /** Reads how far records were dropped, also by other nodes or under another setting. */
  async load(): Promise<void> {
    this.#droppedBeforeMs = await this.#options.store.droppedBeforeMs()
  }

  /** Whether a call of this time has no record any more. */
  isDropped(timeMs: number): boolean {
    return timeMs < this.#droppedBeforeMs
  }

  /** Drops what is due; returns how many records went. One at a time. */
  run(signal?: AbortSignal): Promise<number> {
    this.#running ??= this.#run(signal).finally(() => (this.#running = undefined))
    return this.#running
  }

  async #run(signal: AbortSignal | undefined): Promise<number> {
    const { store, clock, recordDays, dropWith } = this.#options
    await this.load()
    if (recordDays === undefined) return 0
    const before = CallIds.firstAt(Math.floor(clock.now() / dayMs - recordDays) * dayMs)
    let dropped = 0
    for (;;) {
      if (signal?.aborted) return dropped
      const next = await store.oldest(before, recordsAtOnce)
      if (!next) break
      await store.drop(next.day, next.ids)
      // From here on its quarters of an hour are answered whole.
      this.#droppedBeforeMs = Math.max(this.#droppedBeforeMs, (next.day + 1) * dayMs)
      dropped += next.ids.length
    }
    await dropWith(CallIds.firstAt(this.#droppedBeforeMs))
    return dropped
  }
}
