// One message's way back over a channel: its answer is a message like any other.
import type { GatewayError } from '../../base/errors.ts'
import type { FinalAnswer, Reply } from '../../sessions/reply.ts'
import type { Era } from '../../wire/protocol-version.ts'
import { isRequest, type JsonRpcMessage } from '../../wire/json-rpc.ts'
import { rpcError } from '../rpc-error.ts'
import { StreamPosition } from './stream-position.ts'

type Message = Parameters<Reply['message']>[0]

/** How a message was done with. */
export interface ReplyEnd {
  /** A JSON-RPC response; absent where none is due, or none will come. */
  readonly answer?: Uint8Array
  readonly refusal?: GatewayError
}

export interface ReplyHost {
  /** Sends a message. False while the client reads too slowly. */
  send(bytes: Uint8Array): boolean
  onDrain(listener: () => void): void
  /** The stream of the answer ended early. True where another is opened, on which the answer will come. */
  resumes(reply: ChannelReply): boolean
  /** Runs once; hands `end` on to `reply.done`. */
  finished(reply: ChannelReply, end: ReplyEnd): void
}

export interface Replied {
  readonly message: JsonRpcMessage
  readonly era: Era
  /** Of the message itself, which is kept while it is in flight. */
  readonly bytes: number
  /** Where the answer goes, or the news that there is none. */
  readonly done: (end: ReplyEnd) => void
}

export class ChannelReply implements Reply {
  readonly about: JsonRpcMessage
  readonly era: Era
  readonly bytes: number
  readonly done: (end: ReplyEnd) => void
  readonly position = new StreamPosition()
  readonly #host: ReplyHost
  #onGone: (() => void) | undefined
  #gone = false
  #done = false

  constructor(host: ReplyHost, of: Replied) {
    this.#host = host
    this.about = of.message
    this.era = of.era
    this.bytes = of.bytes
    this.done = of.done
  }

  /** Nobody waits for the answer any more, or it was given. */
  get over(): boolean {
    return this.#gone || this.#done
  }

  stream(): void {}

  message({ message, bytes, frame }: Message): boolean {
    if (this.era === 'legacy') this.position.note(frame)
    return this.over || message === undefined || this.#host.send(bytes)
  }

  final({ bytes }: FinalAnswer): void {
    this.#finish({ answer: bytes })
  }

  accepted(): void {
    this.#finish({})
  }

  end(): void {
    if (!this.#done && this.#host.resumes(this)) return
    this.#finish({})
  }

  refuse(error: GatewayError): void {
    const { about } = this
    this.#finish({
      refusal: error,
      ...(isRequest(about) && { answer: rpcError(error, about.id, true) }),
    })
  }

  onDrain(listener: () => void): void {
    this.#host.onDrain(listener)
  }

  onGone(listener: () => void): void {
    // It may have gone while the call was made ready.
    if (this.#gone) queueMicrotask(listener)
    else this.#onGone = listener
  }

  /**
   * The client has gone, or wants no answer. Ends a modern call (MCP 2026-07-28, "Cancellation"); a legacy one goes on
   * and is done when it is done.
   */
  leave(): void {
    if (this.over) return
    this.#gone = true
    this.#onGone?.()
    if (this.era === 'modern') this.#finish({})
  }

  #finish(end: ReplyEnd): void {
    if (this.#done) return
    this.#done = true
    this.#onGone = undefined
    this.#host.finished(this, end)
  }
}
