// One request of a modern caller: what it is told, exactly once, whatever becomes of the call behind it.
import { exactly } from '../../eras/exact-json.ts'
import type { UpstreamExchange, UpstreamFailure, UpstreamSink } from '../../upstreams/upstream.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'

/** Whoever works for a round. */
export interface RoundOwner {
  /** The caller has given up. */
  onAbort(): void
  setPaused(paused: boolean): void
}

/** An answer, and the HTTP status where nothing was sent before it. */
interface Answer {
  readonly status: number
  readonly message: JsonRpcMessage
  /** The same, for writing it. */
  readonly written?: JsonRpcMessage
}

/** Ends once: by an answer, a failure or the caller. A call that asks for input has several rounds. */
export class Round<Message extends JsonRpcMessage = JsonRpcMessage> implements UpstreamExchange {
  readonly request: Message
  /** The same, for writing it again; see `exactly`. */
  readonly written: Message
  /** Whose request it is. */
  readonly principalTag: string
  owner: RoundOwner | undefined
  readonly #sink: UpstreamSink
  readonly #ended: (round: Round) => void
  #headed = false
  #silent = false
  #paused = false

  constructor(
    request: Message,
    caller: {
      readonly body: Uint8Array
      readonly principalTag: string
      readonly sink: UpstreamSink
      readonly ended: (round: Round) => void
    },
  ) {
    this.request = request
    this.written = exactly(request, caller.body) as Message
    this.principalTag = caller.principalTag
    this.#sink = caller.sink
    this.#ended = caller.ended
  }

  /** The caller hears nothing more. */
  get silent(): boolean {
    return this.#silent
  }

  get paused(): boolean {
    return this.#paused
  }

  abort(): void {
    if (this.#silent) return
    this.#end()
    this.owner?.onAbort()
  }

  pause(): void {
    this.#paused = true
    this.owner?.setPaused(true)
  }

  resume(): void {
    this.#paused = false
    this.owner?.setPaused(false)
  }

  /** Acts once the caller has the exchange in its hands, unless it gives up before. */
  soon(act: () => void): this {
    queueMicrotask(() => {
      if (!this.#silent) act()
    })
    return this
  }

  /** A message before the answer. */
  deliver(message: JsonRpcMessage, written = message): void {
    if (this.#silent) return
    this.#head(200, 'event-stream')
    this.#tell(message, written)
  }

  finish({ status, message, written = message }: Answer): void {
    if (this.#silent) return
    this.#head(status, 'json')
    this.#tell(message, written)
    // The sink may have aborted.
    if (this.#silent) return
    this.#end()
    this.#sink.end()
  }

  /** Ends without a message. */
  finishBare(status: number): void {
    if (this.#silent) return
    this.#end()
    this.#sink.head({ status, contentType: 'none' })
    this.#sink.end()
  }

  fail(failure: UpstreamFailure): void {
    if (this.#silent) return
    this.#end()
    this.#sink.fail(failure)
  }

  #head(status: number, contentType: 'json' | 'event-stream'): void {
    if (this.#headed) return
    this.#headed = true
    this.#sink.head({ status, contentType })
  }

  #tell(message: JsonRpcMessage, written: JsonRpcMessage): void {
    if (!this.#silent) this.#sink.message({ message, bytes: Buffer.from(JSON.stringify(written)) })
  }

  #end(): void {
    this.#silent = true
    this.#ended(this)
  }
}
