// One HTTP exchange with a server: turns head and bytes of the response into head, messages, and one end or failure.
import type { ListNode } from '../base/linked-list.ts'
import { SseParser, type SseEvent } from '../wire/sse-frame.ts'
import type { Connection, PooledExchange } from './http1/connection.ts'
import type { ConnectionPool } from './http1/connection-pool.ts'
import type { ResponseHead } from './http1/response-head.ts'
import { parseMessage } from './parse-message.ts'
import type { UpstreamExchange, UpstreamFailure, UpstreamHead, UpstreamSink } from './upstream.ts'

const empty = Buffer.alloc(0)

/** What exchanges of one kind with one server share: connections, limits, and the count of those that have not ended. */
export interface Lane {
  readonly kind: 'calls' | 'streams'
  readonly pool: ConnectionPool
  /** In flight or waiting for a connection; more are refused. */
  readonly maxInFlight: number
  readonly maxResponseBytes: number
  inFlight: number
}

/**
 * The state of one request. Nothing is retried, decoded or redirected. The sink is never called before the exchange
 * is in its caller's hands, nor after `abort`, `end` or `fail`.
 */
class HttpExchange implements PooledExchange, UpstreamExchange {
  readonly head: string
  readonly body: Uint8Array | undefined
  waiting: ListNode<PooledExchange> | undefined
  readonly #sink: UpstreamSink
  readonly #lane: Lane
  /** Set while the request is in flight. */
  #connection: Connection | undefined
  /** The request may have left the gateway. */
  #sent = false
  #silent = false
  #paused = false
  #released = false
  #starting = true
  #parser: SseParser | undefined
  #collected: Buffer = empty
  #bytes = 0

  /** `head` is all of the request's head, with the blank line that ends it. */
  constructor(
    lane: Lane,
    request: { readonly head: string; readonly body: Uint8Array | undefined },
    sink: UpstreamSink,
  ) {
    this.#lane = lane
    this.head = request.head
    this.body = request.body
    this.#sink = sink
    this.waiting = undefined
    lane.inFlight++
  }

  /** Sends the request, now or when its turn comes; afterwards the sink may be called directly. */
  start(): this {
    this.#lane.pool.dispatch(this)
    this.#starting = false
    return this
  }

  abort(): void {
    if (this.#silent) return
    this.#silent = true
    this.#leave()
  }

  pause(): void {
    this.#paused = true
    this.#connection?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#connection?.resume()
  }

  /** Fails without having been sent. */
  refuse(failure: UpstreamFailure): this {
    this.#release()
    this.#fail(failure)
    return this
  }

  onStart(connection: Connection): void {
    this.#connection = connection
    this.#sent = true
    if (this.#paused) connection.pause()
  }

  onHead(head: ResponseHead): void {
    if (this.#silent) return
    const problem = this.#problemOf(head)
    if (problem) {
      this.#breakOff(problem.message, problem.tooLarge)
      return
    }
    const told = readHead(head)
    if (told.contentType === 'event-stream')
      this.#parser = new SseParser(this.#lane.maxResponseBytes, (event) => this.#onEvent(event))
    this.#sink.head(told)
  }

  #problemOf(head: ResponseHead): { message: string; tooLarge?: boolean } | undefined {
    const { status, contentEncoding } = head
    if (status < 400 && status >= 300)
      return { message: 'The server answered with a redirect, which is never followed.' }
    if (contentEncoding !== undefined && contentEncoding !== 'identity')
      return { message: 'The server answered with a compressed body, which was not asked for.' }
    return head.contentLength > this.#lane.maxResponseBytes
      ? { message: tooLargeText, tooLarge: true }
      : undefined
  }

  onBody(bytes: Buffer): void {
    if (this.#silent) return
    if (this.#parser) {
      if (!this.#parser.push(bytes)) this.#breakOff(tooLargeText, true)
      return
    }
    const held = this.#bytes
    this.#bytes += bytes.length
    if (this.#bytes > this.#lane.maxResponseBytes) this.#breakOff(tooLargeText, true)
    else if (held === 0) this.#collected = bytes
    else this.#collect(bytes, held)
  }

  /** The space doubles: a body in a million pieces takes no more of it than one in few. */
  #collect(bytes: Buffer, held: number): void {
    if (this.#bytes > this.#collected.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes, held * 2, 1024))
      this.#collected.copy(larger, 0, 0, held)
      this.#collected = larger
    }
    bytes.copy(this.#collected, held)
  }

  #onEvent(event: SseEvent): void {
    if (this.#silent) return
    const bytes = event.data ?? empty
    const message = bytes.length > 0 ? parseMessage(bytes) : undefined
    this.#sink.message({ message, bytes, frame: event.raw, event: event.event })
  }

  onEnd(): void {
    this.#release()
    if (this.#silent) return
    if (this.#parser?.partial) {
      this.#fail({ stage: 'call', message: 'The server broke off in the middle of an event.', sent: true })
      return
    }
    if (this.#bytes > 0) {
      const bytes = this.#collected.subarray(0, this.#bytes)
      this.#sink.message({ message: parseMessage(bytes), bytes })
    }
    // The sink may have aborted in `message`.
    if (this.#silent) return
    this.#silent = true
    this.#sink.end()
  }

  onError(error: Error): void {
    this.#release()
    if (this.#silent) return
    const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
    const reason = reasonOf(code)
    if (this.#sent)
      this.#fail({ stage: 'call', message: `The server broke off: ${reason}.`, sent: true, cause: error })
    else if (code === 'egress_denied')
      this.#fail({ stage: 'egress', message: 'The server has an address that is not allowed.', sent: false })
    else
      this.#fail({
        stage: 'connect',
        message: `The server cannot be reached: ${reason}.`,
        sent: false,
        cause: error,
      })
  }

  #breakOff(message: string, tooLarge?: boolean): void {
    this.#leave()
    this.#fail({ stage: 'call', message, sent: true, ...(tooLarge && { tooLarge }) })
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#starting) {
      queueMicrotask(() => this.#fail(failure))
      this.#starting = false
      return
    }
    if (this.#silent) return
    this.#silent = true
    this.#sink.fail(failure)
  }

  /** Gives up the connection, or the place in the queue. */
  #leave(): void {
    const connection = this.#connection
    this.#release()
    if (connection) connection.abandon()
    else if (this.waiting) this.#lane.pool.withdraw(this)
  }

  #release(): void {
    this.#connection = undefined
    if (this.#released) return
    this.#released = true
    this.#lane.inFlight--
  }
}

/** What is to be written; `head` is all of it with the blank line, undefined where a header cannot be written as it is. */
export interface Written {
  readonly head: string | undefined
  readonly body?: Uint8Array
}

/** Begins an exchange, or refuses it where as many are in flight as may be; either way the sink hears of it later. */
export function startIn(lane: Lane, { head, body }: Written, sink: UpstreamSink): UpstreamExchange {
  const overloaded = lane.inFlight >= lane.maxInFlight
  const exchange = new HttpExchange(lane, { head: head ?? '', body }, sink)
  if (overloaded)
    return exchange.refuse({
      stage: 'connect',
      message: `Too many ${lane.kind} wait for this server.`,
      sent: false,
    })
  if (head === undefined)
    return exchange.refuse({
      stage: 'connect',
      message: 'A header of the request holds characters that cannot be sent.',
      sent: false,
    })
  return exchange.start()
}

const tooLargeText = 'The answer is larger than the limit of this server (limits.maxResponseBytes).'

function readHead(head: ResponseHead): UpstreamHead {
  const { status, contentType: text, sessionId, challenge } = head
  return {
    status,
    contentType: kindOf(head),
    ...(text !== undefined && { contentTypeText: text }),
    ...(challenge !== undefined && status === 403 && { challenge }),
    // MCP 2025-11-25, "Session Management": visible ASCII only.
    ...(sessionId !== undefined && /^[\x21-\x7e]{1,1024}$/.test(sessionId) && { sessionId }),
  }
}

function kindOf({ status, contentLength, contentType: text }: ResponseHead): UpstreamHead['contentType'] {
  if (status === 202 || status === 204 || contentLength === 0) return 'none'
  if (text === 'application/json') return 'json'
  const type = text?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === 'text/event-stream') return 'event-stream'
  return type === 'application/json' || type?.endsWith('+json') ? 'json' : 'other'
}

/** What an operator needs to know of a transport error; the system's own codes are kept. */
function reasonOf(code: string): string {
  if (code === 'connect_timeout' || code === 'ETIMEDOUT') return 'the connection timed out'
  if (code === 'connection_closed' || code === 'ECONNRESET' || code === 'EPIPE')
    return 'the connection was closed'
  if (code === 'invalid_http') return 'the answer is not valid HTTP'
  if (code === 'body_short') return 'the body is shorter than announced'
  if (code === 'head_too_large') return 'the headers are too large'
  if (code === 'pool_closed') return 'its registration has changed or the gateway stops'
  return /^(E|CERT_|DEPTH_|UNABLE_|SELF_|ERR_TLS_)[A-Z0-9_]+$/.test(code) ? code : 'the connection failed'
}
