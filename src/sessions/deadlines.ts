// The deadlines of all calls in flight, kept by one timer.

/** Something that is given up at `deadlineMs` of the monotonic clock. */
export interface Expiring {
  readonly deadlineMs: number
  expire(): void
}

const tickMs = 20

/**
 * A timer for each call costs more than it seems: cancelled timers hold on to one another across garbage collections,
 * and at 20,000 calls a second most of the young heap was copied for it (a third of all CPU). So one interval looks at
 * everything that is in flight, and runs only while something is. Deadlines are kept to within a tick.
 */
export class Deadlines {
  readonly #watched = new Set<Expiring>()
  #interval: NodeJS.Timeout | undefined

  add(item: Expiring): void {
    this.#watched.add(item)
    this.#interval ??= setInterval(() => this.#look(), tickMs)
  }

  delete(item: Expiring): void {
    this.#watched.delete(item)
  }

  #look(): void {
    const now = performance.now()
    for (const item of this.#watched) {
      if (item.deadlineMs > now) continue
      this.#watched.delete(item)
      item.expire()
    }
    if (this.#watched.size > 0) return
    clearInterval(this.#interval)
    this.#interval = undefined
  }
}
