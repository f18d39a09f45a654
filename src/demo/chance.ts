// Chance that is the same at every start: the demo looks alike for everybody.

export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 to below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** Whether something happens that happens `often` times of a thousand. */
  isHit(often: number): boolean {
    return this.next() * 1000 < often
  }

  /** Around a median, as sizes and times of answers are: mostly near it, sometimes many times as much. */
  around(median: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next())
    return median * Math.exp(normal * 0.55)
  }

  /** One of the names, as often as their weights say. */
  pick(weights: Readonly<Record<string, number>>): string {
    const entries = Object.entries(weights)
    let at = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) if ((at -= weight) < 0) return name
    return entries.at(-1)?.[0] ?? ''
  }
}
