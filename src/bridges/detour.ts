// An exchange whose way is not decided yet: what the caller does to it reaches whichever exchange comes of it.
import type { UpstreamExchange } from '../upstreams/upstream.ts'

/** Stands for one exchange at a time; `follow` puts another in its place. */
export class Detour implements UpstreamExchange {
  #current: UpstreamExchange | undefined
  #aborted = false
  #paused = false

  /** The caller has given up: nothing more may be sent for it. */
  get aborted(): boolean {
    return this.#aborted
  }

  follow(exchange: UpstreamExchange): this {
    this.#current = exchange
    if (this.#aborted) exchange.abort()
    else if (this.#paused) exchange.pause()
    return this
  }

  abort(): void {
    this.#aborted = true
    this.#current?.abort()
  }

  pause(): void {
    this.#paused = true
    this.#current?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#current?.resume()
  }
}
