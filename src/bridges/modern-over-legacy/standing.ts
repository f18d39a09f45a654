// The stream of what a legacy server says outside of calls: the GET stream, or all that a connection carries for nobody.
import type { UpstreamExchange, UpstreamFailure, UpstreamHead } from '../../upstreams/upstream.ts'
import type { UpstreamMessage, UpstreamSink } from '../../upstreams/upstream.ts'
import { eventIdOf } from './resumption.ts'
import { messagesIn, type LegacySession, type Said } from './session.ts'

export interface StandingOptions {
  readonly message: (said: Said) => void
  /** It was away for a while: something may have been missed. */
  readonly reopened: () => void
  /** The connection is gone, or the server knows no such session. */
  readonly lost: () => void
}

const firstPauseMs = 250
const maxPauseMs = 30_000
/** Statuses by which a server says that it has no such stream (MCP 2025-11-25, "Listening for Messages from the Server"). */
const noStream = new Set([404, 405, 501])

/** One stream of one session; opened when somebody needs it, and again whenever it breaks off. */
export class StandingStream implements UpstreamSink {
  readonly #session: LegacySession
  readonly #options: StandingOptions
  #exchange: UpstreamExchange | undefined
  #opening: PromiseWithResolvers<boolean> | undefined
  #isOpen = false
  #wasOpen = false
  #pauses = 0
  #lastEventId: string | undefined
  #timer: NodeJS.Timeout | undefined
  #none = false

  constructor(session: LegacySession, options: StandingOptions) {
    this.#session = session
    this.#options = options
  }

  /** Resolves once it is open, or with false where the server has none or keeps us waiting. */
  async open(waitMs: number): Promise<boolean> {
    if (this.#isOpen || this.#none) return this.#isOpen
    this.#opening ??= Promise.withResolvers()
    if (!this.#exchange && !this.#timer) this.#listen()
    const { promise } = this.#opening
    const { promise: late, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), waitMs).unref()
    const opened = await Promise.race([promise, late])
    clearTimeout(timer)
    return opened
  }

  close(): void {
    this.#none = true
    clearTimeout(this.#timer)
    this.#exchange?.abort()
    this.#settle(false)
  }

  head({ status, contentType }: UpstreamHead): void {
    if (status === 200 && contentType === 'event-stream') {
      if (this.#wasOpen) this.#options.reopened()
      this.#wasOpen = true
      this.#pauses = 0
      return this.#settle(true)
    }
    this.#exchange?.abort()
    if (status === 404 && this.#session.named) {
      this.#settle(false)
      return this.#options.lost()
    }
    if (noStream.has(status)) {
      this.#none = true
      return this.#settle(false)
    }
    this.#again()
  }

  message(received: UpstreamMessage): void {
    const { frame } = received
    if (frame) this.#lastEventId = eventIdOf(frame) ?? this.#lastEventId
    for (const said of messagesIn(received)) this.#options.message(said)
  }

  end(): void {
    this.#again()
  }

  fail(failure: UpstreamFailure): void {
    if (failure.gone) {
      this.#settle(false)
      this.#options.lost()
    } else this.#again()
  }

  #listen(): void {
    this.#timer = undefined
    const { upstream, headers } = this.#session
    const last = this.#lastEventId
    this.#exchange = upstream.listen(
      last === undefined ? headers : { ...headers, 'last-event-id': last },
      this,
    )
  }

  #again(): void {
    this.#exchange = undefined
    this.#settle(false)
    if (this.#none) return
    const pauseMs = Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(this.#pauses++, 10))
    this.#timer = setTimeout(() => this.#listen(), pauseMs).unref()
  }

  #settle(isOpen: boolean): void {
    this.#isOpen = isOpen
    this.#opening?.resolve(isOpen)
    this.#opening = undefined
  }
}
