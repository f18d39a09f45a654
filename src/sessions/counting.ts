// What one call counts of a price that goes by the quantities of a period, and what others may count before it.
import type { GatewayError } from '../base/errors.ts'
import type { Cumulative } from '../pricing/cumulative.ts'
import type { Quantities } from '../pricing/price.ts'
import type { Position } from '../pricing/rating.ts'
import type { Meter, MeterCount, Meters } from '../usage/meters.ts'

/** Reserved from its first hold on; released or counted exactly once. */
export class Counting {
  readonly #meters: Meters
  readonly #meter: Meter
  readonly #cumulative: Cumulative
  #reserved = 0n
  /** Extends the call's hold to the worst case at its position; returns what does not cover that, where something does not. */
  secure: (position: Position) => GatewayError | undefined = () => undefined

  constructor(meters: Meters, meter: Meter, cumulative: Cumulative) {
    this.#meters = meters
    this.#meter = meter
    this.#cumulative = cumulative
  }

  /** Says that the call may count this much, and returns where it may come to stand. */
  reserve(most: Quantities): Position {
    this.release()
    const position = { before: this.#meter.counted, ahead: this.#meter.ahead }
    this.#reserved = this.#cumulative.countOf(most)
    this.#meter.ahead += this.#reserved
    this.#meter.flight.add(this)
    return position
  }

  /**
   * Once this call is held: others on their way may now come after it, where the price may be dearer. Returns what does
   * not cover one of them, where something does not; then this call must not run.
   */
  coverOthers(): GatewayError | undefined {
    const meter = this.#meter
    const most = this.#cumulative.unit === 'call' ? this.#cumulative.mostOf(1n, this.#position) : undefined
    const isCovered =
      meter.flight.size === 1 ||
      this.#cumulative.isEven({ before: meter.counted, ahead: meter.ahead }) ||
      (most !== undefined && most <= meter.level)
    const refusal = isCovered ? undefined : this.#coverEach()
    if (!refusal && most !== undefined) meter.level = most
    return refusal
  }

  #coverEach(): GatewayError | undefined {
    for (const other of this.#meter.flight) {
      const refusal = other === this ? undefined : other.cover()
      if (refusal) return refusal
    }
    return undefined
  }

  cover(): GatewayError | undefined {
    return this.secure(this.#position)
  }

  get #position(): Position {
    return { before: this.#meter.counted, ahead: this.#meter.ahead - this.#reserved }
  }

  release(): void {
    this.#meter.flight.delete(this)
    this.#meter.ahead -= this.#reserved
    this.#reserved = 0n
  }

  /** What was counted before the call if it settles now. */
  get before(): bigint | undefined {
    return this.#meter.counted
  }

  /** Counts the call, once it is charged; what is returned commits with its record. */
  count(quantities: Quantities): MeterCount {
    return this.#meters.count(this.#meter, this.#cumulative.countOf(quantities))
  }
}
