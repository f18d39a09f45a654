// The rate of bytes: a leaking bucket in arrears, since nobody knows how long an answer will be before it has come.
import type { Bandwidth } from './limit.ts'

/**
 * As the generic cell rate algorithm (ITU-T I.371, annex A) with a cost for each piece. A call may begin while any of the
 * burst is left, and what it brings is taken from what comes later: over time no more than the rate, beyond it at most
 * the burst and what was running when it ran out. Times are microseconds of a monotonic clock, with fractions: a byte may be
 * worth less than one.
 */
export class BandwidthMeter {
  readonly #usPerByte: number
  readonly #toleranceUs: number

  constructor({ bytes, seconds, burst = bytes }: Bandwidth) {
    this.#usPerByte = (seconds * 1_000_000) / bytes
    this.#toleranceUs = burst * this.#usPerByte
  }

  /** How long to wait until a call may begin; 0: it may now. `emptyUs`: see `spend`. */
  waitUs(emptyUs: number, nowUs: number): number {
    return Math.max(0, Math.floor(emptyUs - nowUs - this.#toleranceUs) + 1)
  }

  /** Counts bytes; returns when all of them will have leaked, to be remembered. */
  spend(emptyUs: number, nowUs: number, bytes: number): number {
    return Math.max(emptyUs, nowUs) + bytes * this.#usPerByte
  }

  /** Bytes of the burst that are left. */
  remaining(emptyUs: number, nowUs: number): number {
    const ahead = Math.max(0, emptyUs - nowUs)
    return Math.max(0, Math.floor((this.#toleranceUs - ahead) / this.#usPerByte))
  }
}
