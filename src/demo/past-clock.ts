// A clock that is set to moments of the past, for history that is made by the code that makes the present.
import type { Clock } from '../base/clock.ts'

export class PastClock implements Clock {
  #now: number
  #monotonicMs = 0

  constructor(now: number) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  /** Wall time alone: also backwards, to the start of a call that began before another ended. */
  set(now: number): void {
    this.#now = now
  }

  /** Both, while a call runs. */
  pass(ms: number): void {
    this.#now += Math.round(ms)
    this.#monotonicMs += ms
  }
}
