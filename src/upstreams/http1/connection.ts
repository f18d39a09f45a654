// One connection to a server: connecting, then one exchange at a time, then idle or closed; never a request twice.
import type { Socket } from 'node:net'
import type { ListNode } from '../../base/linked-list.ts'
import type { Connector } from './connector.ts'
import type { ResponseHead } from './response-head.ts'
import { ResponseParser, type ResponseEvents } from './response-parser.ts'
import { TransportError } from './transport-error.ts'

/** A request, and who hears its response. After `onEnd` or `onError`, or once abandoned, it hears nothing more. */
export interface PooledExchange {
  /** The whole head, with the blank line that ends it. */
  readonly head: string
  readonly body: Uint8Array | undefined
  /** Its place while it waits for a connection. */
  waiting: ListNode<PooledExchange> | undefined
  /** Its first byte is about to be handed to the socket of this connection. */
  onStart(connection: Connection): void
  onHead(head: ResponseHead): void
  /** The bytes are the receiver's. */
  onBody(bytes: Buffer): void
  onEnd(): void
  /** The request may have been sent if and only if `onStart` was called. */
  onError(error: Error): void
}

/** The pool that a connection belongs to. */
export interface ConnectionOwner {
  /** It is connected, and takes its first exchange. */
  onReady(connection: Connection): void
  /** Its exchange has ended, and it takes another one. */
  onFree(connection: Connection): void
  /** It is closed; called once, before its exchange hears of it. `connectError`: it was never ready. */
  onGone(connection: Connection, connectError?: Error): void
  /** The descriptor is given back. */
  onSocketClosed(): void
}

/** Larger bodies are not copied, but written after their head. */
const maxJoinedBytes = 64 * 1024
/** How long a server is trusted to keep an idle connection if it does not say. */
const standardKeepAliveMs = 4000
const maxKeepAliveMs = 60_000
/** What a server says is shortened by this: a request must not cross the server's close on the way. */
const keepAliveMarginMs = 2000

export class Connection implements ResponseEvents {
  /** Its place among the connections of the pool. */
  place: ListNode<Connection> | undefined
  /** `performance.now()` of when it became idle. */
  idleSinceMs = 0
  isConnecting = true
  readonly #owner: ConnectionOwner
  readonly #socket: Socket
  readonly #parser: ResponseParser
  #exchange: PooledExchange | undefined
  readonly #connectTimer: NodeJS.Timeout
  #gone = false
  #paused = false
  #keepAlive: string | undefined
  #keepAliveMs = standardKeepAliveMs

  /** Begins to connect; throws where the connector does. */
  constructor(connector: Connector, owner: ConnectionOwner) {
    this.#owner = owner
    this.#parser = new ResponseParser(this)
    const socket = connector.open((bytes) => this.#onBytes(bytes))
    this.#socket = socket
    this.#connectTimer = setTimeout(
      () => this.destroy(new TransportError('connect_timeout')),
      connector.timeoutMs,
    )
    socket.once(connector.readyEvent, () => this.#onReady())
    socket.on('end', () => this.#onEof())
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => {
      this.destroy(new TransportError('connection_closed'))
      owner.onSocketClosed()
    })
  }

  /** Whether an idle connection may be used: the server has not closed it, and is not about to. */
  isUsable(nowMs: number): boolean {
    return !this.#gone && this.#socket.writable && nowMs - this.idleSinceMs < this.#keepAliveMs
  }

  /** Writes the request, all of it with one call into the system where it is small. */
  start(exchange: PooledExchange): void {
    this.#exchange = exchange
    this.#parser.expect()
    exchange.onStart(this)
    const { head, body } = exchange
    const socket = this.#socket
    if (!body) socket.write(head, 'latin1')
    else if (body.length <= maxJoinedBytes) {
      const bytes = Buffer.allocUnsafe(head.length + body.length)
      bytes.write(head, 0, head.length, 'latin1')
      bytes.set(body, head.length)
      socket.write(bytes)
    } else {
      socket.cork()
      socket.write(head, 'latin1')
      socket.write(body)
      socket.uncork()
    }
  }

  /** Closes the connection without a word to its exchange. */
  abandon(): void {
    this.#close()
  }

  /** Closes the connection; its exchange fails. */
  destroy(error: Error): void {
    const exchange = this.#exchange
    this.#close(this.isConnecting ? error : undefined)
    exchange?.onError(error)
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }

  onHead(head: ResponseHead): void {
    if (head.keepAlive !== this.#keepAlive) {
      this.#keepAlive = head.keepAlive
      this.#keepAliveMs = keepAliveMsOf(head.keepAlive)
    }
    this.#exchange?.onHead(head)
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    const bytes = Buffer.allocUnsafe(end - start)
    chunk.copy(bytes, 0, start, end)
    this.#exchange?.onBody(bytes)
  }

  /** The connection is free before its exchange hears of the end: what that begins may use it already. */
  onEnd(reusable: boolean): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    // An answer that came before its request was written does not make room for the next one.
    const { writable, writableLength } = this.#socket
    if (reusable && this.#keepAliveMs > 0 && writable && writableLength === 0) {
      this.resume()
      this.#owner.onFree(this)
    } else this.abandon()
    try {
      exchange?.onEnd()
    } catch (error) {
      exchange?.onError(asError(error))
    }
  }

  #onReady(): void {
    if (this.#gone) return
    this.isConnecting = false
    clearTimeout(this.#connectTimer)
    this.#owner.onReady(this)
  }

  #onBytes(bytes: Buffer): void {
    // Bytes that nobody asked for would be taken for the answer to the next request.
    if (!this.#exchange) return this.abandon()
    try {
      if (!this.#parser.push(bytes)) this.destroy(new TransportError(this.#parser.fault))
    } catch (error) {
      // A receiver that fails ends its own exchange, not the process.
      this.destroy(asError(error))
    }
  }

  #onEof(): void {
    if (this.#parser.finish()) return
    this.destroy(new TransportError(this.#parser.isShort ? 'body_short' : 'connection_closed'))
  }

  #close(connectError?: Error): void {
    if (this.#gone) return
    this.#gone = true
    this.#exchange = undefined
    this.#parser.stop()
    clearTimeout(this.#connectTimer)
    this.#socket.destroy()
    this.#owner.onGone(this, connectError)
  }
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error('thrown'))

function keepAliveMsOf(value: string | undefined): number {
  const seconds = /(?:^|[,;\s])timeout\s*=\s*"?(\d{1,9})(?!\d)/i.exec(value ?? '')?.[1]
  if (seconds === undefined) return standardKeepAliveMs
  return Math.min(Number(seconds) * 1000 - keepAliveMarginMs, maxKeepAliveMs)
}
