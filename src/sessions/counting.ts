// What one call counts of a price that goes by the quantities of a period, and what others may count before it.
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
    return position
  }

  release(): void {
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
