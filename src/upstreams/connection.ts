// One connection to a server for one session: each of the server's messages finds whom it belongs to.
import type { JsonRpcMessage, RequestId } from '../wire/json-rpc.ts'
import { isRequest, isResponse } from '../wire/json-rpc.ts'
import type { ServerTransport } from '../registry/server.ts'
import { isBatch } from '../wire/batch.ts'
import { splitBatch } from './batch.ts'
import type { Link, LinkEnd, LinkEvents, LinkRefusal } from './link.ts'
import { parseMessage } from './parse-message.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from './upstream.ts'

export interface ConnectionOptions {
  /** From the start to the link's being open. */
  readonly connectMs: number
  /** Messages that wait until somebody listens, of which the oldest are dropped, and those that wait for the link to open. */
  readonly maxQueuedMessages: number
  /** Bytes that wait for somebody to listen, for the link to open, or for the server to read them. */
  readonly maxQueuedBytes: number
  /** The first answer arrived: the server works. */
  readonly onAnswer?: () => void
  /** The link is gone. `failed`: it ended by itself before its first answer. `message` says why, without secrets. */
  readonly onGone?: (end: { readonly failed: boolean; readonly message: string }) => void
}

/** In one batch of a server. */
const maxBatchMessages = 10_000
const subscriptionIdKey = 'io.modelcontextprotocol/subscriptionId'

/** One message on its way, a request that waits for its answer, or the listener. */
class ConnectionExchange implements UpstreamExchange {
  readonly sink: UpstreamSink
  readonly request: UpstreamRequest | undefined
  /** Of a request; undefined for everything else. */
  readonly id: RequestId | undefined
  readonly progressToken: RequestId | undefined
  headed = false
  /** Handed to the link. */
  sent = false
  /** Aborted or ended: its sink hears nothing more. */
  silent = false
  readonly #owner: ConnectionUpstream

  constructor(owner: ConnectionUpstream, sink: UpstreamSink, request?: UpstreamRequest) {
    this.#owner = owner
    this.sink = sink
    this.request = request
    const message = request?.message
    this.id = message && isRequest(message) ? message.id : undefined
    this.progressToken = this.id === undefined ? undefined : asId(metaOf(message)?.progressToken)
  }

  abort(): void {
    this.#owner.forget(this)
  }

  pause(): void {
    this.#owner.setPaused(this, true)
  }

  resume(): void {
    this.#owner.setPaused(this, false)
  }
}

/**
 * A way to a server over a link of its own, which is opened in the constructor; what is sent before it is open waits.
 * Requests are found by id, of which `1` and `"1"` are two. Pausing any exchange pauses the link. `abort` only forgets
 * a call: telling the server with `notifications/cancelled` is the caller's.
 */
export class ConnectionUpstream implements Upstream {
  readonly transport: ServerTransport['type']
  readonly multiplexed = true
  readonly #link: Link
  readonly #options: ConnectionOptions
  readonly #pending = new Map<RequestId, ConnectionExchange>()
  readonly #byToken = new Map<RequestId, ConnectionExchange>()
  /** Notifications and responses of which it is not known yet whether the server took them. */
  readonly #untold = new Set<ConnectionExchange>()
  readonly #paused = new Set<ConnectionExchange>()
  #unsent: ConnectionExchange[] = []
  #unsentBytes = 0
  #listener: ConnectionExchange | undefined
  #waiting: UpstreamMessage[] = []
  #waitingBytes = 0
  #answered = false
  #closing = false
  #openTimer: NodeJS.Timeout | undefined
  #failure: UpstreamFailure | undefined

  constructor(
    transport: ServerTransport['type'],
    open: (events: LinkEvents) => Link,
    options: ConnectionOptions,
  ) {
    this.transport = transport
    this.#options = options
    this.#link = open({
      opened: () => this.#onOpened(),
      message: (bytes, message) => this.#receive(bytes, message),
      gone: (end) => this.#onGone(end),
    })
    if (this.#link.opening) this.#openTimer = setTimeout(() => this.#onLate(), options.connectMs)
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const exchange = new ConnectionExchange(this, sink, request)
    if (exchange.id !== undefined && this.#pending.has(exchange.id))
      return this.#refuse(exchange, {
        stage: 'call',
        message: 'A request with this id is already waiting for its answer.',
      })
    const refusal = this.#link.opening ? this.#hold(exchange) : this.#write(exchange)
    if (refusal) return this.#refuse(exchange, refusal)
    if (exchange.id === undefined) this.#untold.add(exchange)
    else this.#pending.set(exchange.id, exchange)
    if (exchange.progressToken !== undefined) this.#byToken.set(exchange.progressToken, exchange)
    return exchange
  }

  listen(_: Readonly<Record<string, string>>, sink: UpstreamSink): UpstreamExchange {
    const exchange = new ConnectionExchange(this, sink)
    if (this.#listener)
      return this.#refuse(exchange, { stage: 'call', message: 'This session already has a stream.' })
    if (!this.#link.alive) return this.#refuse(exchange, endedRefusal)
    this.#listener = exchange
    this.#soon(exchange, () => {
      this.#head(exchange, 'event-stream')
      const waiting = this.#waiting
      this.#forgetWaiting()
      for (const message of waiting) this.#deliver(exchange, message)
    })
    return exchange
  }

  /** Closes the connection, with which the server's session ends. */
  async endSession(): Promise<number> {
    await this.close()
    return 200
  }

  /** Ends the link; what is pending fails. Resolves when everything is given back. */
  async close(): Promise<void> {
    this.#closing ||= this.#link.alive
    this.#link.close({ stage: this.transport === 'stdio' ? 'process' : 'call', message: closedText })
    await this.#link.ended
  }

  /** Ends the link at once; synchronous, for the gateway's exit. */
  killNow(): void {
    this.#link.killNow()
  }

  /** Used by the exchange: its sink hears nothing more. */
  forget(exchange: ConnectionExchange): void {
    exchange.silent = true
    if (this.#listener === exchange) this.#listener = undefined
    this.#untold.delete(exchange)
    if (exchange.id !== undefined && this.#pending.get(exchange.id) === exchange)
      this.#pending.delete(exchange.id)
    const token = exchange.progressToken
    if (token !== undefined && this.#byToken.get(token) === exchange) this.#byToken.delete(token)
    this.setPaused(exchange, false)
  }

  /** Used by the exchange. */
  setPaused(exchange: ConnectionExchange, paused: boolean): void {
    if (paused && !exchange.silent) {
      this.#paused.add(exchange)
      this.#link.pause()
    } else if (this.#paused.delete(exchange) && this.#paused.size === 0) this.#link.resume()
  }

  /** Keeps a message until the link is open. */
  #hold(exchange: ConnectionExchange): LinkRefusal | undefined {
    const { maxQueuedMessages, maxQueuedBytes } = this.#options
    const bytes = this.#unsentBytes + (exchange.request?.body.length ?? 0)
    if (!this.#link.alive) return endedRefusal
    if (this.#unsent.length >= maxQueuedMessages || (this.#unsentBytes > 0 && bytes > maxQueuedBytes))
      return { stage: 'connect', message: 'Too many messages wait for the connection to open.' }
    this.#unsent.push(exchange)
    this.#unsentBytes = bytes
    return undefined
  }

  #write(exchange: ConnectionExchange): LinkRefusal | undefined {
    const { request } = exchange
    if (!request) return undefined
    const refusal = this.#link.write(request, (failure) => this.#onTold(exchange, failure))
    exchange.sent = refusal === undefined
    return refusal
  }

  #onTold(exchange: ConnectionExchange, failure: UpstreamFailure | undefined): void {
    if (exchange.silent || (!failure && exchange.id !== undefined)) return
    if (failure) return this.#fail(exchange, failure)
    exchange.sink.head({ status: 202, contentType: 'none' })
    if (exchange.silent) return
    this.forget(exchange)
    exchange.sink.end()
  }

  #onOpened(): void {
    clearTimeout(this.#openTimer)
    const unsent = this.#unsent
    this.#unsent = []
    this.#unsentBytes = 0
    for (const exchange of unsent) {
      const refusal = exchange.silent ? undefined : this.#write(exchange)
      if (refusal) this.#fail(exchange, { ...refusal, sent: false })
    }
  }

  #onLate(): void {
    const { stage, awaited } = this.#link.opening ?? { stage: 'connect', awaited: 'the connection' }
    this.#link.close({
      stage,
      message: `The connection timed out while waiting for ${awaited} (timeouts.connectMs).`,
    })
  }

  #receive(bytes: Buffer, message?: JsonRpcMessage): void {
    if (message || !isBatch(bytes)) return this.#receiveOne(bytes, message ?? parseMessage(bytes))
    const ok = splitBatch(bytes, maxBatchMessages, (part) => this.#receiveOne(part, parseMessage(part)))
    if (!ok)
      this.#link.close({
        stage: 'call',
        message: `The server sent a batch of more than ${maxBatchMessages} messages.`,
        tooLarge: true,
      })
  }

  #receiveOne(bytes: Buffer, message: JsonRpcMessage | undefined): void {
    // What is not a message is a stray print of the server's author; it harms nobody.
    if (!message) return
    const parsed = { message, bytes }
    if (isResponse(message)) {
      this.#answer(parsed, message)
      return
    }
    const target = this.#ownerOf(message) ?? this.#listener ?? this.#newestCall()
    if (target) {
      this.#head(target, 'event-stream')
      this.#deliver(target, parsed)
      return
    }
    this.#wait(parsed)
  }

  /** Until somebody listens; the newest message is kept, whatever its size. */
  #wait({ message, bytes }: UpstreamMessage): void {
    const { maxQueuedMessages, maxQueuedBytes } = this.#options
    // A copy: the bytes are part of all that was read with them.
    this.#waiting.push({ message, bytes: Buffer.from(bytes) })
    this.#waitingBytes += bytes.length
    while (
      this.#waiting.length > maxQueuedMessages ||
      (this.#waitingBytes > maxQueuedBytes && this.#waiting.length > 1)
    )
      this.#waitingBytes -= this.#waiting.shift()?.bytes.length ?? 0
  }

  #forgetWaiting(): void {
    this.#waiting = []
    this.#waitingBytes = 0
  }

  #answer(parsed: UpstreamMessage, message: JsonRpcMessage): void {
    if (!this.#answered) {
      this.#answered = true
      this.#options.onAnswer?.()
    }
    const exchange =
      message.id === undefined || message.id === null ? undefined : this.#pending.get(message.id)
    // An unknown id: answered before, aborted, or made up.
    if (!exchange) return
    this.#head(exchange, 'json')
    this.#deliver(exchange, parsed)
    if (exchange.silent) return
    this.forget(exchange)
    exchange.sink.end()
  }

  /** By the token of a progress, or by the subscription (MCP 2026-07-28, "subscriptions/listen": the request's own id). */
  #ownerOf(message: JsonRpcMessage): ConnectionExchange | undefined {
    if (message.method === 'notifications/progress') {
      const token = asId(message.params?.progressToken)
      return token === undefined ? undefined : this.#byToken.get(token)
    }
    const subscription = asId(metaOf(message)?.[subscriptionIdKey])
    return subscription === undefined ? undefined : this.#pending.get(subscription)
  }

  /** A subscription hears only what bears its id. */
  #newestCall(): ConnectionExchange | undefined {
    let newest: ConnectionExchange | undefined
    for (const exchange of this.#pending.values())
      if (exchange.request?.message.method !== 'subscriptions/listen') newest = exchange
    return newest
  }

  #head(exchange: ConnectionExchange, contentType: 'json' | 'event-stream'): void {
    if (exchange.headed || exchange.silent) return
    exchange.headed = true
    exchange.sink.head({ status: 200, contentType })
  }

  #deliver(exchange: ConnectionExchange, message: UpstreamMessage): void {
    if (!exchange.silent) exchange.sink.message(message)
  }

  #refuse(exchange: ConnectionExchange, refusal: LinkRefusal): UpstreamExchange {
    const failure: UpstreamFailure = {
      ...(this.#failure && refusal.gone ? this.#failure : refusal),
      sent: false,
    }
    this.#soon(exchange, () => this.#fail(exchange, failure))
    return exchange
  }

  #fail(exchange: ConnectionExchange, failure: UpstreamFailure): void {
    if (exchange.silent) return
    this.forget(exchange)
    exchange.sink.fail(failure)
  }

  /** After the caller has the exchange in its hands, unless it aborts. */
  #soon(exchange: ConnectionExchange, act: () => void): void {
    queueMicrotask(() => {
      if (!exchange.silent) act()
    })
  }

  #onGone({ stage, message: reason, tooLarge, cause, lastWords, untried = false }: LinkEnd): void {
    clearTimeout(this.#openTimer)
    const opened = !this.#link.opening
    const message = this.#answered || lastWords === undefined ? reason : `${reason} It wrote: ${lastWords}`
    this.#failure = {
      stage,
      gone: true,
      message,
      sent: true,
      ...(tooLarge && { tooLarge: true }),
      ...(cause !== undefined && { cause }),
    }
    const orphans = [...this.#pending.values(), ...this.#untold, ...(this.#listener ? [this.#listener] : [])]
    this.#forgetWaiting()
    this.#unsent = []
    this.#unsentBytes = 0
    this.#options.onGone?.({ failed: !this.#answered && !this.#closing && !untried, message })
    for (const exchange of orphans)
      this.#fail(exchange, { ...this.#failure, sent: exchange.request ? exchange.sent : opened })
  }
}

const closedText = 'The session was closed.'
const endedRefusal: LinkRefusal = { stage: 'connect', gone: true, message: 'The connection has ended.' }

function metaOf(message: JsonRpcMessage | undefined): Readonly<Record<string, unknown>> | undefined {
  const meta = message?.params?._meta
  return typeof meta === 'object' && meta !== null ? (meta as Record<string, unknown>) : undefined
}

const asId = (value: unknown): RequestId | undefined =>
  typeof value === 'string' || typeof value === 'number' ? value : undefined
