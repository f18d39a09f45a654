// A reply over Streamable HTTP whose events are kept, so that a client that loses it can go on where it was.
import type { GatewayError } from '../base/errors.ts'
import type { UpstreamMessage } from '../upstreams/upstream.ts'
import { hasEventId } from './answer.ts'
import type { KeptStream } from './kept-stream.ts'
import type { Absence, FinalAnswer, LimitState, Reply } from './reply.ts'

type Head = Parameters<Reply['stream']>[0]

export interface ResumableOptions {
  /** The stream in which events are kept; asked for with the first of them. */
  readonly open: (head: Head) => KeptStream
  /** The server's own ids go through as they are, and it is asked itself to resume behind them. */
  readonly straight: boolean
  /** Tells the client where it is before the first event. */
  readonly primes: boolean
  readonly retryMs: number
  /** Of a session's own stream: behind which event the client is, where it said so. Absent for an answer's stream. */
  readonly own?: { readonly from: number | undefined; readonly maxAwayMs: number }
}

/**
 * Passes on until the first message before the answer: what is answered at once costs nothing. Where that message has
 * an id of a server that is spoken to directly, everything stays as it comes; else each event gets an id and is kept.
 */
export class ResumableReply implements Reply {
  readonly #reply: Reply
  readonly #options: ResumableOptions
  #head: Head = { callId: '' }
  #verbatim = false
  #kept: KeptStream | undefined
  #onGone: (() => void) | undefined

  constructor(reply: Reply, options: ResumableOptions) {
    this.#reply = reply
    this.#options = options
  }

  get absence(): Absence | undefined {
    const kept = this.#kept
    const { own } = this.#options
    return kept && own && { maxMs: own.maxAwayMs, missed: () => kept.lose() }
  }

  limited(state: LimitState): void {
    this.#reply.limited?.(state)
  }

  stream(head: Head): void {
    this.#head = head
    this.#reply.stream(head)
    const { straight, own } = this.#options
    // Who resumes must not wait for the next event to get those that it has missed.
    if (own && (!straight || own.from !== undefined)) this.#begin()
  }

  message(message: UpstreamMessage): boolean {
    if (this.#verbatim) return this.#reply.message(message)
    const { frame, bytes, event } = message
    const named = frame !== undefined && hasEventId(frame)
    if (named && this.#options.straight && !this.#kept) {
      this.#verbatim = true
      return this.#reply.message(message)
    }
    // A bare event says nothing but that the stream is alive.
    if (!message.message && (bytes.length === 0 || event !== undefined))
      return named || (this.#kept ?? this.#reply).message(message)
    return this.#begin().append({ bytes, frame: unnamed(frame) })
  }

  final(answer: FinalAnswer): void {
    if (this.#kept) this.#kept.append({ bytes: answer.bytes, frame: unnamed(answer.frame), last: true })
    else this.#reply.final(answer)
  }

  accepted(callId: string | undefined): void {
    this.#reply.accepted(callId)
  }

  end(): void {
    if (!this.#kept) return this.#reply.end()
    if (this.#options.own) this.#kept.unfollow(this.#reply)
    else this.#kept.end()
  }

  refuse(error: GatewayError, callId?: string): void {
    if (this.#kept) this.end()
    else this.#reply.refuse(error, callId)
  }

  onDrain(listener: () => void): void {
    if (this.#kept) this.#kept.onDrain(listener)
    else this.#reply.onDrain(listener)
  }

  onGone(listener: () => void): void {
    this.#onGone = listener
    this.#reply.onGone(() => this.#gone())
  }

  #gone(): void {
    const listener = this.#onGone
    this.#onGone = undefined
    listener?.()
  }

  #begin(): KeptStream {
    if (this.#kept) return this.#kept
    const kept = this.#options.open(this.#head)
    const { own, primes, retryMs } = this.#options
    this.#kept = kept
    const from = own ? (own.from ?? kept.givenThrough) : 0
    if (primes) {
      const frame = kept.priming(from, retryMs)
      this.#reply.message({ message: undefined, bytes: frame, frame })
    }
    kept.follow(this.#reply, from, () => this.#gone())
    return kept
  }
}

/** An event that has an id of the server's own is written anew under ours. */
const unnamed = (frame: Uint8Array | undefined): Uint8Array | undefined =>
  frame && hasEventId(frame) ? undefined : frame
