// An aggregate's subscription at one member: opened again after a pause when it breaks, until it is closed.
import { isObject } from '../../base/is-object.ts'
import { isAcknowledgement } from '../../eras/change-filter.ts'
import type { Json } from '../../eras/json-object.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamMessage,
  UpstreamRequest,
} from '../../upstreams/upstream.ts'
import { isNotification, isResponse, type JsonRpcMessage } from '../../wire/json-rpc.ts'
import { cancelAt } from '../../upstreams/tell.ts'

export interface LegLimits {
  /** How long a member may take to acknowledge. */
  readonly acknowledgeMs: number
  /** The first pause before a stream that ended is opened again; it doubles each time up to `longestPauseMs`. */
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** A number from 0 to 1, which spreads the pauses of many streams. */
  readonly random: () => number
}

/** Whoever listens to the member. */
export interface LegOwner {
  readonly legLimits: LegLimits
  /** The first try has come to an end: the member agreed, or not in time, or never will. `honoured` is what it agreed to. */
  settled(leg: ListenLeg): void
  /** The member is there again; what changed meanwhile went unheard. */
  returned(leg: ListenLeg): void
  notified(leg: ListenLeg, notification: JsonRpcMessage): void
}

/** Makes the way and a request with an id of its own; throws where there is no way. */
export type OpenStream = () => { readonly way: Upstream; readonly request: UpstreamRequest }

/** A stream that lived this long is no part of a series of failures. */
const forgivenAfterMs = 60_000

export class ListenLeg {
  readonly #owner: LegOwner
  readonly #open: OpenStream
  #current: Stream | undefined
  #honoured: Json | undefined
  #settled = false
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #paused = false
  #closed = false

  constructor(owner: LegOwner, open: OpenStream) {
    this.#owner = owner
    this.#open = open
  }

  /** What the member agreed to send; undefined while it has not been reached. */
  get honoured(): Json | undefined {
    return this.#honoured
  }

  start(): this {
    this.#begin()
    return this
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#drop()
  }

  setPaused(paused: boolean): void {
    this.#paused = paused
    if (paused) this.#current?.exchange?.pause()
    else this.#current?.exchange?.resume()
  }

  #begin(): void {
    let stream: Stream
    try {
      stream = new Stream(this.#open())
    } catch {
      return this.#again()
    }
    this.#current = stream
    const over = (): void => {
      stream.ended = true
      if (this.#current === stream) this.#again()
    }
    stream.exchange = stream.way.send(stream.request, {
      head: () => {},
      message: (message) => {
        if (this.#current === stream) this.#onMessage(stream, message)
      },
      end: over,
      fail: over,
    })
    if (this.#paused) stream.exchange.pause()
    this.#later(this.#owner.legLimits.acknowledgeMs, () => this.#again())
  }

  #onMessage(stream: Stream, { message }: UpstreamMessage): void {
    if (!message) return
    if (isResponse(message)) {
      stream.ended = true
      // An unknown method and wrong params stay so; a result is a server that ends its stream.
      const code = message.error?.code
      if (code === -32601 || code === -32602) return this.#giveUp()
      return this.#again()
    }
    if (!isNotification(message)) return
    if (isAcknowledgement(message)) this.#onAcknowledged(stream, message)
    else if (stream.acknowledgedAtMs !== undefined) this.#owner.notified(this, message)
  }

  #onAcknowledged(stream: Stream, { params }: JsonRpcMessage): void {
    if (stream.acknowledgedAtMs !== undefined) return
    stream.acknowledgedAtMs = performance.now()
    clearTimeout(this.#timer)
    const agreed = params?.['notifications']
    this.#honoured = isObject(agreed) ? agreed : {}
    if (Object.keys(this.#honoured).length === 0) return this.#giveUp()
    if (this.#failures > 0) this.#owner.returned(this)
    this.#settle()
  }

  /** The member will never send anything for this. */
  #giveUp(): void {
    this.#honoured = {}
    clearTimeout(this.#timer)
    this.#drop()
    this.#settle()
  }

  #again(): void {
    const livedMs = performance.now() - (this.#current?.acknowledgedAtMs ?? Infinity)
    if (livedMs > forgivenAfterMs) this.#failures = 0
    this.#drop()
    if (this.#closed) return
    const { firstPauseMs, longestPauseMs, random } = this.#owner.legLimits
    const pauseMs = Math.min(firstPauseMs * 2 ** Math.min(this.#failures++, 20), longestPauseMs)
    this.#later(pauseMs * (0.5 + random() / 2), () => this.#begin())
    this.#settle()
  }

  #settle(): void {
    if (this.#settled || this.#closed) return
    this.#settled = true
    this.#owner.settled(this)
  }

  #later(delayMs: number, act: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(act, delayMs)
    this.#timer.unref()
  }

  #drop(): void {
    const stream = this.#current
    this.#current = undefined
    if (!stream || stream.ended) return
    stream.exchange?.abort()
    cancelAt(stream.way, stream.request.message.id)
  }
}

/** One listen request in flight. */
class Stream {
  readonly way: Upstream
  readonly request: UpstreamRequest
  exchange: UpstreamExchange | undefined
  acknowledgedAtMs: number | undefined
  ended = false

  constructor({ way, request }: ReturnType<OpenStream>) {
    this.way = way
    this.request = request
  }
}
