// Latencies of a run and their percentiles, in a fixed amount of memory.

/** Steps of 5 µs up to 1 s; what is slower counts as 1 s. */
const stepMs = 0.005

export class Latencies {
  readonly #histogram = new Uint32Array(200_000)
  #total = 0

  add(ms: number): void {
    const step = Math.min(this.#histogram.length - 1, Math.floor(ms / stepMs))
    this.#histogram[step] = (this.#histogram[step] ?? 0) + 1
    this.#total++
  }

  get summary(): { p50Ms: number; p99Ms: number } {
    return { p50Ms: this.#percentile(0.5), p99Ms: this.#percentile(0.99) }
  }

  #percentile(share: number): number {
    let seen = 0
    for (const [index, count] of this.#histogram.entries()) {
      seen += count
      if (seen >= this.#total * share) return (index + 1) * stepMs
    }
    return this.#histogram.length * stepMs
  }
}
