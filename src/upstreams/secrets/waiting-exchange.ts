// An exchange that begins when what it needs has come, or fails without having been sent.
import type { UpstreamExchange, UpstreamSink } from '../upstream.ts'

/** Begins with what `ready` resolves to; a rejection's message is the failure's. */
export class WaitingExchange<Needed> implements UpstreamExchange {
  #inner: UpstreamExchange | undefined
  #paused = false
  #over = false

  constructor(ready: Promise<Needed>, start: (needed: Needed) => UpstreamExchange, sink: UpstreamSink) {
    ready.then(
      (needed) => {
        if (this.#over) return
        this.#inner = start(needed)
        if (this.#paused) this.#inner.pause()
      },
      (error: Error) => {
        if (this.#over) return
        this.#over = true
        sink.fail({ stage: 'connect', message: error.message, sent: false, cause: error })
      },
    )
  }

  abort(): void {
    this.#over = true
    this.#inner?.abort()
  }

  pause(): void {
    this.#paused = true
    this.#inner?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#inner?.resume()
  }
}
