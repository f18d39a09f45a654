// A legacy session's standing stream over a modern server: one `subscriptions/listen`, replaced when its filter changes.
import {
  honoursAnything,
  isAcknowledgement,
  legacyNotification,
  subscriptionIdOf,
} from '../../eras/change-filter.ts'
import { exactly } from '../../eras/exact-json.ts'
import { isNotification, isResponse, type JsonRpcMessage, type RequestId } from '../../wire/json-rpc.ts'
import type {
  UpstreamExchange,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../../upstreams/upstream.ts'
import { isComment, ModernLeg, type LegHost } from './leg.ts'

export interface StreamLimits {
  /** How long the server may take to acknowledge a listen request. */
  readonly acknowledgeMs: number
  /** The first pause before a stream that ended is opened again; it doubles each time up to `longestPauseMs`. */
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** A number from 0 to 1, which spreads the pauses of many streams. */
  readonly random: () => number
}

/** What the stream asks of the session's bridge. */
export interface StreamHost extends LegHost {
  readonly streamLimits: StreamLimits
  /** The listen request for what the client hears now; undefined where that is nothing. */
  listenRequest(id: RequestId): UpstreamRequest | undefined
  streamEnded(stream: ChangeStream): void
}

/** One listen request in flight. */
class Listen extends ModernLeg {
  acknowledgedAtMs: number | undefined
  /** The server will never send anything for it, however often it is asked. */
  hopeless = false
}

/** A stream that lived this long is no part of a series of failures. */
const forgivenAfterMs = 60_000

/**
 * Stays open until it is aborted or closed. A new filter is listened to before the old stream is let go; what changes
 * while no stream is open is not heard, because the modern era has nothing to ask for it with.
 */
export class ChangeStream implements UpstreamExchange {
  readonly #host: StreamHost
  readonly #sink: UpstreamSink
  #current: Listen | undefined
  /** Opened and not yet acknowledged. */
  #next: Listen | undefined
  /** The filter has changed since `#next` was opened. */
  #stale = false
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #paused = false
  #silent = false
  #settled: (() => void)[] = []

  constructor(host: StreamHost, sink: UpstreamSink) {
    this.#host = host
    this.#sink = sink
  }

  start(): this {
    queueMicrotask(() => {
      if (this.#silent) return
      this.#sink.head({ status: 200, contentType: 'event-stream' })
      void this.refresh()
    })
    return this
  }

  /** Listens to what the client hears now. Resolves when the server has agreed, or has not in time. */
  refresh(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#silent) return resolve()
      this.#settled.push(resolve)
      this.#failures = 0
      if (this.#next) this.#stale = true
      else this.#open()
    })
  }

  /** A message of a shared connection that names a listen request; one that has been let go belongs to nobody. */
  receive(message: UpstreamMessage): void {
    const id = message.message && subscriptionIdOf(message.message)
    const listen = this.#current?.id === id ? this.#current : this.#next
    if (listen && listen.id === id) this.#onMessage(listen, message)
  }

  abort(): void {
    this.#leave()
  }

  /** Ends the stream for its listener as well. */
  close(): void {
    if (this.#silent) return
    this.#leave()
    this.#sink.end()
  }

  pause(): void {
    this.#paused = true
    // Its successor is not paused: nothing but the acknowledgement comes from it yet.
    this.#current?.setPaused(true)
  }

  resume(): void {
    this.#paused = false
    this.#current?.setPaused(false)
  }

  #open(): void {
    clearTimeout(this.#timer)
    this.#stale = false
    let listen: Listen
    try {
      listen = new Listen(this.#host)
    } catch {
      return this.#again()
    }
    this.#next = listen
    const request = this.#host.listenRequest(listen.id)
    if (request) return this.#send(listen, request)
    listen.ended = true
    this.#drop(listen)
    this.#drop(this.#current)
    this.#settle()
  }

  #send(listen: Listen, request: UpstreamRequest): void {
    const over = (): void => {
      if (!listen.open) return
      listen.ended = true
      this.#onEnd(listen)
    }
    listen.send(request, {
      head: () => {},
      message: (message) => listen.open && this.#onMessage(listen, message),
      end: over,
      fail: over,
    })
    this.#later(this.#host.streamLimits.acknowledgeMs, () => {
      this.#drop(this.#next)
      this.#again()
    })
  }

  #onMessage(listen: Listen, { message, bytes, frame }: UpstreamMessage): void {
    if (!message) {
      if (frame && isComment(frame)) this.#sink.message({ message: undefined, bytes, frame })
      return
    }
    if (isResponse(message)) {
      // The server ends the stream itself, or refuses it: an unknown method and wrong params stay so.
      const code = message.error?.code
      listen.hopeless ||= code === -32601 || code === -32602
      listen.answered = true
      return this.#onEnd(listen)
    }
    if (!isNotification(message)) return
    if (isAcknowledgement(message)) {
      listen.hopeless = !honoursAnything(message)
      if (this.#next === listen) this.#takeOver(listen)
      return
    }
    const legacy = inLegacyWords(message, bytes)
    if (legacy) this.#sink.message(legacy)
  }

  /** The new stream is heard from now on, so the old one may go. */
  #takeOver(listen: Listen): void {
    clearTimeout(this.#timer)
    this.#drop(this.#current)
    this.#current = listen
    this.#next = undefined
    listen.acknowledgedAtMs = performance.now()
    if (this.#paused) listen.setPaused(true)
    if (this.#stale) this.#open()
    else this.#settle()
  }

  #onEnd(listen: Listen): void {
    const { acknowledgedAtMs, hopeless } = listen
    const livedMs = acknowledgedAtMs === undefined ? 0 : performance.now() - acknowledgedAtMs
    if (livedMs > forgivenAfterMs) this.#failures = 0
    const wasNext = this.#next === listen
    this.#drop(listen)
    if (wasNext && this.#stale) return this.#open()
    if (!hopeless) return this.#again()
    if (wasNext) clearTimeout(this.#timer)
    this.#settle()
  }

  /** Opens again after a pause; whoever waits for the server's word need not wait for that. */
  #again(): void {
    this.#settle()
    // A replacement is on its way already.
    if (this.#next) return
    const { firstPauseMs, longestPauseMs, random } = this.#host.streamLimits
    const pauseMs = Math.min(firstPauseMs * 2 ** Math.min(this.#failures++, 20), longestPauseMs)
    this.#later(pauseMs * (0.5 + random() / 2), () => this.#open())
  }

  #later(delayMs: number, act: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(act, delayMs)
    this.#timer.unref()
  }

  #drop(listen: Listen | undefined): void {
    if (this.#current === listen) this.#current = undefined
    if (this.#next === listen) this.#next = undefined
    listen?.end()
  }

  #settle(): void {
    for (const resolve of this.#settled.splice(0)) resolve()
  }

  #leave(): void {
    if (this.#silent) return
    this.#silent = true
    clearTimeout(this.#timer)
    this.#drop(this.#current)
    this.#drop(this.#next)
    this.#settle()
    this.#host.streamEnded(this)
  }
}

/** Undefined where it nests too deeply to be written again. */
function inLegacyWords(message: JsonRpcMessage, bytes: Uint8Array): UpstreamMessage | undefined {
  const legacy = legacyNotification(message)
  if (legacy === message) return { message, bytes }
  try {
    const text = JSON.stringify(legacyNotification(exactly(message, bytes)))
    return { message: legacy, bytes: Buffer.from(text) }
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
