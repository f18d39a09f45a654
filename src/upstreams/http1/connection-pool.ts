// The connections to one origin: at most so many, the last used first, and a queue for what finds none free.
import { LinkedList } from '../../base/linked-list.ts'
import { Connection, type ConnectionOwner, type PooledExchange } from './connection.ts'
import type { Connector } from './connector.ts'
import { TransportError } from './transport-error.ts'

export interface ConnectionPoolOptions {
  readonly connector: Connector
  readonly maxConnections: number
}

const sweepEveryMs = 1000

/**
 * Gives each exchange a connection of its own until it ends; in order of arrival where all are taken. The length of
 * the queue is bounded by whoever dispatches. An exchange is told of the end of its request exactly once.
 */
export class ConnectionPool implements ConnectionOwner {
  readonly #connector: Connector
  readonly #maxConnections: number
  readonly #connections = new LinkedList<Connection>()
  /** The last one was used last. */
  readonly #idle: Connection[] = []
  readonly #queue = new LinkedList<PooledExchange>()
  #connecting = 0
  /** Descriptors, also of connections that are closing. */
  #sockets = 0
  #sweeper: NodeJS.Timeout | undefined
  #closing = false
  readonly #closed = Promise.withResolvers<void>()

  constructor({ connector, maxConnections }: ConnectionPoolOptions) {
    this.#connector = connector
    this.#maxConnections = maxConnections
  }

  /** Sends a request as soon as a connection is free. May fail it before returning. */
  dispatch(exchange: PooledExchange): void {
    const refusal = this.#closing ? new TransportError('pool_closed') : this.#connector.refusal
    if (refusal) return exchange.onError(refusal)
    const connection = this.#takeIdle()
    if (connection) return connection.start(exchange)
    exchange.waiting = this.#queue.add(exchange)
    this.#connectForQueue()
  }

  /** Takes an exchange out of the queue; it hears nothing more. */
  withdraw(exchange: PooledExchange): void {
    if (exchange.waiting) this.#queue.remove(exchange.waiting)
    exchange.waiting = undefined
    this.#settleIfClosed()
  }

  /** Takes no more exchanges; resolves when those that wait or run have ended and every socket is closed. */
  close(): Promise<void> {
    this.#closing = true
    for (const connection of this.#idle.slice()) connection.abandon()
    this.#settleIfClosed()
    return this.#closed.promise
  }

  /** Closes everything at once; exchanges that wait or run fail. */
  destroy(): Promise<void> {
    this.#closing = true
    for (let next = this.#takeQueued(); next; next = this.#takeQueued())
      next.onError(new TransportError('pool_closed'))
    for (const connection of this.#connections) connection.destroy(new TransportError('pool_closed'))
    return this.close()
  }

  onReady(connection: Connection): void {
    this.#connecting--
    this.onFree(connection)
  }

  onFree(connection: Connection): void {
    const next = this.#takeQueued()
    if (next) connection.start(next)
    else if (this.#closing) connection.abandon()
    else {
      connection.idleSinceMs = performance.now()
      this.#idle.push(connection)
      this.#sweeper ??= setInterval(() => this.#sweep(), sweepEveryMs).unref()
    }
  }

  /** Where no connection was made, the exchange that waits longest is told so; the others try for themselves. */
  onGone(connection: Connection, connectError?: Error): void {
    if (connection.place) this.#connections.remove(connection.place)
    if (connection.isConnecting) this.#connecting--
    const index = this.#idle.lastIndexOf(connection)
    if (index !== -1) this.#idle.splice(index, 1)
    const failed = connectError ? this.#takeQueued() : undefined
    this.#connectForQueue()
    if (connectError) failed?.onError(connectError)
  }

  onSocketClosed(): void {
    this.#sockets--
    this.#settleIfClosed()
  }

  #takeIdle(): Connection | undefined {
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.isUsable(performance.now())) return connection
      connection.abandon()
    }
    return undefined
  }

  #takeQueued(): PooledExchange | undefined {
    const next = this.#queue.takeFirst()
    if (next) next.waiting = undefined
    return next
  }

  #connectForQueue(): void {
    while (this.#connecting < this.#queue.size && this.#connections.size < this.#maxConnections) {
      const connection = new Connection(this.#connector, this)
      connection.place = this.#connections.add(connection)
      this.#connecting++
      this.#sockets++
    }
  }

  #sweep(): void {
    const nowMs = performance.now()
    for (const connection of this.#idle.filter((one) => !one.isUsable(nowMs))) connection.abandon()
    if (this.#idle.length === 0) this.#stopSweeping()
  }

  #stopSweeping(): void {
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }

  #settleIfClosed(): void {
    if (!this.#closing || this.#sockets > 0 || this.#queue.size > 0) return
    this.#stopSweeping()
    this.#closed.resolve()
  }
}
