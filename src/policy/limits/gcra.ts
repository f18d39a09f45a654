// The generic cell rate algorithm (ITU-T I.371, annex A): one number for each caller says when the next call may come.
import type { Rate } from './limit.ts'

/** Times are whole microseconds of a monotonic clock, so that nothing is lost to rounding. */
export class Gcra {
  /** From one call to the next, over time; rounded up, so that a rate is never exceeded. */
  readonly #intervalUs: number
  readonly #toleranceUs: number

  constructor({ calls, seconds, burst = calls }: Rate) {
    this.#intervalUs = Math.ceil((seconds * 1_000_000) / calls)
    this.#toleranceUs = this.#intervalUs * (burst - 1)
  }

  /** How long to wait for the next call; 0: it may come now. `arrivalUs`: see `take`. */
  waitUs(arrivalUs: number, nowUs: number): number {
    return Math.max(0, arrivalUs - this.#toleranceUs - nowUs)
  }

  /** Counts one call; returns the theoretical arrival time to remember. */
  take(arrivalUs: number, nowUs: number): number {
    return Math.max(arrivalUs, nowUs) + this.#intervalUs
  }

  /** How many calls may still come at once. */
  remaining(arrivalUs: number, nowUs: number): number {
    const ahead = Math.max(0, arrivalUs - nowUs)
    return Math.max(0, Math.floor((this.#toleranceUs + this.#intervalUs - ahead) / this.#intervalUs))
  }
}
