// How often each address may do what costs us something, within a window of time.
import type { Clock } from '../base/clock.ts'

export interface AttemptLimits {
  readonly max: number
  readonly windowMs: number
  /** Addresses remembered at once; beyond them the one seen first is forgotten. Default 10 000. */
  readonly maxRemembered?: number
}

export class Attempts {
  readonly #clock: Clock
  readonly #limits: AttemptLimits
  readonly #windows = new Map<string, { count: number; endsAtMs: number }>()

  constructor(clock: Clock, limits: AttemptLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Counts one; undefined where it may go on, else the seconds to wait. */
  count(address: string): number | undefined {
    const { max, windowMs, maxRemembered = 10_000 } = this.#limits
    const nowMs = this.#clock.monotonicMs()
    let window = this.#windows.get(address)
    if (!window || nowMs >= window.endsAtMs) {
      this.#windows.delete(address)
      const [first] = this.#windows.keys()
      if (first !== undefined && this.#windows.size >= maxRemembered) this.#windows.delete(first)
      window = { count: 0, endsAtMs: nowMs + windowMs }
      this.#windows.set(address, window)
    }
    window.count++
    return window.count > max ? Math.ceil((window.endsAtMs - nowMs) / 1000) : undefined
  }
}
