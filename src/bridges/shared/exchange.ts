// One message of a tenant on its way over a shared session: what its sink has heard, and what waits while it is paused.
import type { Address, Written } from '../../eras/readdress.ts'
import type { Revision } from '../../eras/revisions.ts'
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../../upstreams/upstream.ts'
import type { InnerSession } from './inner.ts'

/** A tenant, as far as others need to tell it from another one and to reach it. */
export interface Caller {
  /** What its client can read, where that is older than what the server was told. */
  readonly revision: Revision | undefined
  /** Takes a message that belongs to none of its requests in particular. */
  deliver(message: UpstreamMessage): void
}

/** One attempt at the server. */
export interface Run {
  readonly inner: InnerSession
  /** The id that the server knows the request by; undefined for what has no answer. */
  readonly ownId: number | undefined
  exchange: UpstreamExchange | undefined
  status: number
  /** The answer comes on a stream, as far as we know, which the server may leave open after it. */
  streaming: boolean
  /** Until the stream of an answer is broken off, or a broken one is resumed. */
  timer: NodeJS.Timeout | undefined
  /** Where the stream can be resumed, and after how long (MCP 2025-11-25, "Resumability and Redelivery"). */
  lastEventId: string | undefined
  retryMs: number
  resumes: number
}

export interface SharedExchangeOptions {
  readonly caller: Caller
  /** Messages that may wait while the exchange is paused; the answer itself may wait besides. */
  readonly maxHeldBytes: number
  /** The sink hears nothing more; called once. */
  readonly onSettled: (exchange: SharedExchange) => void
  /** Too much waits; the exchange fails right after this. */
  readonly onOverflow: (exchange: SharedExchange) => void
}

/** Tells its sink each thing at most once and nothing after its end. Pausing it never stops another tenant. */
export class SharedExchange implements UpstreamExchange {
  readonly request: UpstreamRequest
  address: Address | undefined
  run: Run | undefined
  /** The server's session was lost before it took the request, and the request was sent again. */
  retried = false
  answered = false
  readonly #options: SharedExchangeOptions
  readonly #sink: UpstreamSink
  #headed = false
  #silent = false
  #paused = false
  #ending = false
  #held: UpstreamMessage[] = []
  #heldBytes = 0

  constructor(request: UpstreamRequest, sink: UpstreamSink, options: SharedExchangeOptions) {
    this.request = request
    this.#sink = sink
    this.#options = options
  }

  get caller(): Caller {
    return this.#options.caller
  }

  get silent(): boolean {
    return this.#silent
  }

  /** The server has the request and has not answered it. */
  get running(): boolean {
    return this.run?.ownId !== undefined && !this.answered && !this.#silent
  }

  abort(): void {
    this.#silence()
  }

  pause(): void {
    this.#paused = true
    // A stream of its own can wait in the network; on a connection that all share that would stop everybody.
    if (this.run?.inner.upstream.multiplexed === false) this.run.exchange?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    while (!this.#silent && !this.#paused) {
      const next = this.#held.shift()
      if (!next) break
      this.#heldBytes -= next.bytes.length
      this.#sink.message(next)
    }
    if (this.#paused || this.#silent) return
    if (this.#ending) return this.#end()
    if (this.run?.inner.upstream.multiplexed === false) this.run.exchange?.resume()
  }

  head(head: UpstreamHead): void {
    if (this.#silent || this.#headed) return
    this.#headed = true
    this.#sink.head(head)
  }

  /** A message that comes before the answer. */
  pass(message: UpstreamMessage): void {
    this.head({ status: 200, contentType: 'event-stream' })
    if (this.#silent) return
    if (!this.#paused) return this.#sink.message(message)
    this.#held.push(message)
    this.#heldBytes += message.bytes.length
    if (this.#heldBytes <= this.#options.maxHeldBytes) return
    this.#options.onOverflow(this)
    this.fail({
      stage: 'call',
      message: 'The answer is read too slowly; too much of it is waiting.',
      sent: true,
      tooLarge: true,
    })
  }

  /** The final answer, and the end. */
  answer(answer: Written, status = 200): void {
    this.answered = true
    this.head({ status, contentType: 'json' })
    if (this.#silent) return
    if (this.#paused) this.#held.push(answer)
    else this.#sink.message(answer)
    this.end()
  }

  end(): void {
    if (this.#silent) return
    this.#ending = true
    if (!this.#paused) this.#end()
  }

  fail(failure: UpstreamFailure): void {
    if (this.#silent) return
    this.#silence()
    this.#sink.fail(failure)
  }

  #end(): void {
    this.#silence()
    this.#sink.end()
  }

  #silence(): void {
    if (this.#silent) return
    this.#silent = true
    this.#held = []
    this.#heldBytes = 0
    this.#options.onSettled(this)
  }
}
