// A server's stream, kept open on behalf of a client whose transport has no way to ask for it.
import type { GatewayError } from '../../base/errors.ts'
import type { Reply } from '../../sessions/reply.ts'
import { StreamPosition } from './stream-position.ts'

type Message = Parameters<Reply['message']>[0]

export interface ChannelStreamOptions {
  /** Asks the server for the stream, behind an event where one is named; `reply` hears of it. */
  readonly open: (reply: Reply, lastEventId: string | undefined) => void
  readonly send: (bytes: Uint8Array) => boolean
  readonly onDrain: (listener: () => void) => void
  /** Whether anybody still waits for it. */
  readonly wanted: () => boolean
  /** Runs once, when it will not be opened again. */
  readonly finished: (stream: ChannelStream) => void
}

const firstRetryMs = 1000
const longestRetryMs = 30_000
/** Attempts in a row that bring nothing. */
const maxFailures = 5
/** After the money has run out; a client that says something meanwhile may have been topped up. */
const unpaidPauseMs = 30_000
/** Refusals that may pass; any other means that there is no such stream. */
const passing = new Set(['upstream_unavailable', 'store_unavailable', 'overloaded'])

/**
 * Opens the stream, and opens it again behind its last event when it ends while it is wanted: what a client of
 * Streamable HTTP would do for itself. A server without a stream is left alone; the client hears nothing of that.
 */
export class ChannelStream {
  readonly #options: ChannelStreamOptions
  readonly #position: StreamPosition
  #reply: StreamReply | undefined
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #finished = false
  /** Since when, on the monotonic clock, nobody pays for it. */
  #unpaidSinceMs: number | undefined

  constructor(options: ChannelStreamOptions, position = new StreamPosition()) {
    this.#options = options
    this.#position = position
  }

  /** Opens it; `resumed` waits first, as its server wants it. */
  start(resumed = false): void {
    if (resumed) this.#later()
    else this.#open()
  }

  /** The client is there: a stream that ended with the account's balance is tried again, now and then. */
  nudge(): void {
    if (this.#unpaidSinceMs === undefined || performance.now() - this.#unpaidSinceMs < unpaidPauseMs) return
    this.#unpaidSinceMs = undefined
    this.#open()
  }

  /** Ends it for good. */
  stop(): void {
    clearTimeout(this.#timer)
    const reply = this.#reply
    this.#finish()
    reply?.leave()
  }

  /** Takes a message (or bare event). False while the client reads too slowly. */
  take({ message, bytes, frame }: Message): boolean {
    this.#position.note(frame)
    this.#failures = 0
    return this.#finished || message === undefined || this.#options.send(bytes)
  }

  onDrain(listener: () => void): void {
    this.#options.onDrain(listener)
  }

  /** The server, or the gateway, has ended it. */
  ended(error?: GatewayError): void {
    this.#reply = undefined
    if (this.#finished) return
    if (error?.code === 'balance_exhausted') {
      this.#unpaidSinceMs = performance.now()
      return
    }
    this.#failures++
    const hopeless = (error && !passing.has(error.code)) || this.#failures > maxFailures
    if (hopeless || !this.#options.wanted()) this.#finish()
    else this.#later()
  }

  #later(): void {
    const usual = Math.min(firstRetryMs * 2 ** Math.max(0, this.#failures - 1), longestRetryMs)
    const delayMs = Math.min(this.#failures > 1 ? usual : (this.#position.retryMs ?? usual), longestRetryMs)
    this.#timer = setTimeout(() => this.#open(), delayMs)
    this.#timer.unref()
  }

  #open(): void {
    if (this.#finished) return
    if (!this.#options.wanted()) return this.#finish()
    this.#reply = new StreamReply(this)
    this.#options.open(this.#reply, this.#position.lastEventId)
  }

  #finish(): void {
    if (this.#finished) return
    this.#finished = true
    this.#options.finished(this)
  }
}

/** What one opening of the stream brings. */
class StreamReply implements Reply {
  readonly #stream: ChannelStream
  #onGone: (() => void) | undefined
  #over = false

  constructor(stream: ChannelStream) {
    this.#stream = stream
  }

  stream(): void {}

  message(message: Message): boolean {
    return this.#over || this.#stream.take(message)
  }

  final(): void {
    this.#end()
  }

  accepted(): void {
    this.#end()
  }

  end(): void {
    this.#end()
  }

  refuse(error: GatewayError): void {
    this.#end(error)
  }

  onDrain(listener: () => void): void {
    this.#stream.onDrain(listener)
  }

  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  leave(): void {
    if (this.#over) return
    this.#over = true
    this.#onGone?.()
  }

  #end(error?: GatewayError): void {
    if (this.#over) return
    this.#over = true
    this.#stream.ended(error)
  }
}
