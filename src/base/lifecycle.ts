// What must be stopped, in the reverse order of how it was started.
import type { Log } from './log.ts'

type Stop = () => Promise<void> | void

/** A stack of stop functions. Each runs once, the newest first; a failing one is logged and does not stop the rest. */
export class Lifecycle {
  readonly #stops: { name: string; stop: Stop }[] = []
  readonly #log: Log
  #stopping: Promise<void> | undefined

  constructor(log: Log) {
    this.#log = log
  }

  onStop(name: string, stop: Stop): void {
    this.#stops.push({ name, stop })
  }

  /** Stops everything; a second call waits for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  async #stopAll(): Promise<void> {
    for (let next = this.#stops.pop(); next; next = this.#stops.pop()) {
      try {
        await next.stop()
      } catch (error) {
        this.#log.error({ err: error, part: next.name }, 'a part did not stop cleanly')
      }
    }
  }
}
