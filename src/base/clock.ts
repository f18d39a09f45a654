// Time as an argument: wall time for what is written down, monotonic time for durations and deadlines.

export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the machine's clock is set. */
  now(): number
  /** Milliseconds from an arbitrary start; never jumps, has a fraction. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
}

/** A clock that stands still until it is told to move; for tests. */
export class ManualClock implements Clock {
  #now: number
  #monotonicMs = 0

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  /** Moves both clocks on. */
  advance(ms: number): void {
    this.#now += ms
    this.#monotonicMs += ms
  }

  /** Sets wall time alone, as an operator or NTP would. */
  set(now: number): void {
    this.#now = now
  }
}
