// An exchange whose answer is made here: told once, and nothing after the caller gave up.
import type { UpstreamExchange, UpstreamFailure, UpstreamSink } from '../upstreams/upstream.ts'
import {
  errorResponse,
  type JsonRpcError,
  type JsonRpcMessage,
  type JsonRpcRequest,
} from '../wire/json-rpc.ts'
import { asMessage } from './own-texts.ts'

/** What a request is answered with that nobody is asked about; `status` is the HTTP status that goes with it. */
export interface Refusal extends JsonRpcError {
  readonly status: number
}

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
        this.#sink.message(message ? { message, bytes: Buffer.from(text) } : asMessage(text))
      this.#finish()
    })
    return this
  }

  /** Answers with a JSON-RPC error. */
  answerError({ id }: JsonRpcRequest, { status, ...error }: Refusal): this {
    return this.answer(errorResponse(id, error), { status })
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
    return this.fail({ stage: 'connect', message, sent: false, cause })
  }

  fail(failure: UpstreamFailure): this {
    queueMicrotask(() => {
      if (this.#silent) return
      this.#end()
      this.#sink.fail(failure)
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
