// An exchange whose answer is made here, out of those of others: told once, and nothing after the caller gave up.
import type { UpstreamExchange, UpstreamSink } from '../../upstreams/upstream.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'

/** `ended` hears of the end, however it comes, so that whoever works for the answer can stop. */
export class OwnExchange implements UpstreamExchange {
  readonly #sink: UpstreamSink
  readonly #ended: () => void
  #silent = false

  constructor(sink: UpstreamSink, ended: () => void = () => {}) {
    this.#sink = sink
    this.#ended = ended
  }

  abort(): void {
    this.#end()
  }

  // What is awaited is small and bounded, and is told in one piece.
  pause(): void {}

  resume(): void {}

  /** Answers with one message, once the caller has the exchange in its hands. `text` is the message, written. */
  answer(text: string, { status = 200, message }: { status?: number; message?: JsonRpcMessage } = {}): this {
    queueMicrotask(() => {
      if (this.#silent) return
      this.#sink.head({ status, contentType: 'json' })
      if (!this.#isSilent())
        this.#sink.message({
          message: message ?? (JSON.parse(text) as JsonRpcMessage),
          bytes: Buffer.from(text),
        })
      this.#finish()
    })
    return this
  }

  /** Ends with a status alone. */
  answerBare(status: number): this {
    queueMicrotask(() => {
      if (this.#silent) return
      this.#sink.head({ status, contentType: 'none' })
      this.#finish()
    })
    return this
  }

  /** Breaks off: nothing was asked of anybody. */
  refuse(message: string, cause?: unknown): this {
    queueMicrotask(() => {
      if (this.#silent) return
      this.#end()
      this.#sink.fail({ stage: 'connect', message, sent: false, cause })
    })
    return this
  }

  #finish(): void {
    if (this.#silent) return
    this.#end()
    this.#sink.end()
  }

  /** Asked again after each call of the sink, which may have aborted. */
  #isSilent(): boolean {
    return this.#silent
  }

  #end(): void {
    if (this.#silent) return
    this.#silent = true
    this.#ended()
  }
}
