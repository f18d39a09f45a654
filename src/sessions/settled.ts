// News of settled calls, for those who watch costs as they happen.
import type { Settled } from './charge.ts'

type Listener = (settled: Settled) => void

/** Tells every listener of each call once its record is durable. A listener must be quick and must not throw. */
export class SettledCalls {
  readonly #listeners = new Set<Listener>()

  /** Returns how to stop listening. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  publish(settled: Settled): void {
    for (const listener of this.#listeners) listener(settled)
  }
}
