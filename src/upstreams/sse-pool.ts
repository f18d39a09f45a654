// What all HTTP+SSE connections to one server share: sockets, their limits, and how their requests begin.
import type { Server, SseTransport } from '../registry/server.ts'
import { addressOf, targetOf, type Address } from './address.ts'
import type { Egress } from './egress.ts'
import { startIn, type Lane } from './http-exchange.ts'
import { ConnectionPool } from './http1/connection-pool.ts'
import { Connector } from './http1/connector.ts'
import { constantHead, headerLine } from './http1/request-head.ts'
import type { UpstreamExchange, UpstreamRequest, UpstreamSink } from './upstream.ts'

/** A registered server that is reached over HTTP+SSE. */
export type SseServer = Server & { readonly transport: SseTransport }

export interface SsePoolOptions {
  readonly egress: Egress
  /** Messages to the server that may wait for a connection; more are refused as not sent. */
  readonly maxQueued: number
}

const plain = ['accept-encoding', 'identity'] as const

/** One for each revision of a server. Streams never starve messages: they have connections of their own. */
export class SsePool {
  readonly server: SseServer
  readonly #options: SsePoolOptions
  readonly #streams: Lane
  readonly #posts: Lane
  /** Connections that are still in use. */
  #users = 0
  #unused = Promise.withResolvers<void>()

  /** Throws `egress_denied` where an address of the registration is not allowed. */
  constructor(server: SseServer, options: SsePoolOptions) {
    this.server = server
    this.#options = options
    const { maxConnections, maxSessions, maxResponseBytes } = server.limits
    const { stream, messages } = this.addresses(undefined)
    const limits = { filter: options.egress, timeoutMs: server.timeouts.connectMs }
    const connector = new Connector(stream.url, limits)
    const own = messages?.url.origin === stream.url.origin ? undefined : messages
    this.#streams = {
      kind: 'streams',
      pool: new ConnectionPool({ connector, maxConnections: maxSessions }),
      maxInFlight: maxSessions,
      maxResponseBytes,
      inFlight: 0,
    }
    this.#posts = {
      kind: 'calls',
      pool: new ConnectionPool({
        connector: own ? new Connector(own.url, limits) : connector,
        maxConnections,
      }),
      maxInFlight: maxConnections + options.maxQueued,
      maxResponseBytes,
      inFlight: 0,
    }
  }

  /** Exchanges that have not ended, by kind. */
  get inFlight(): { calls: number; streams: number } {
    return { calls: this.#posts.inFlight, streams: this.#streams.inFlight }
  }

  /**
   * Where one session's stream is, and where its messages go if the registration says so. `server` is ours with the
   * secrets that it refers to, where it does.
   */
  addresses(
    sessionId: string | undefined,
    server = this.server,
  ): { stream: Address; messages: Address | undefined } {
    const checkUrl = (text: string): URL => this.#options.egress.checkUrl(text)
    const { messageUrl: url } = server.transport
    return {
      stream: addressOf(server, { checkUrl, sessionId }),
      messages: url === undefined ? undefined : addressOf(server, { checkUrl, sessionId, url }),
    }
  }

  startStream({ url, target, headers }: Address, sink: UpstreamSink): UpstreamExchange {
    const own = [['accept', 'text/event-stream'], plain, ...headers] as const
    const head = constantHead('GET', { host: url.host, target }, own)
    return startIn(this.#streams, { head: head && `${head}\r\n` }, sink)
  }

  /**
   * How every message of one session begins. `url` is of the stream's origin, or the registered `messageUrl`, with
   * the query that the server gave it. Undefined where it cannot be written.
   */
  postHead(
    url: URL,
    headers: Address['headers'],
    { server, sessionId }: { readonly server: SseServer; readonly sessionId: string | undefined },
  ): string | undefined {
    const own = [['content-type', 'application/json'], plain, ...headers] as const
    return constantHead('POST', { host: url.host, target: targetOf(url, server, sessionId) }, own)
  }

  startPost(begin: string, { body, headers }: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const version = headers['mcp-protocol-version']
    const line = version === undefined ? '' : headerLine('mcp-protocol-version', version)
    const head = line === undefined ? undefined : `${begin}${line}content-length: ${body.length}\r\n\r\n`
    return startIn(this.#posts, { head, body }, sink)
  }

  /** A connection begins; `release` when it has ended. */
  acquire(): void {
    this.#users++
  }

  release(): void {
    this.#users--
    if (this.#users === 0) this.#unused.resolve()
    if (this.#users === 0) this.#unused = Promise.withResolvers<void>()
  }

  /** There is a newer revision: resolves when the last connection has ended and the sockets are closed. */
  async retire(): Promise<void> {
    if (this.#users > 0) await this.#unused.promise
    await this.destroy()
  }

  /** Closes all sockets at once; resolves when they are closed. */
  async destroy(): Promise<void> {
    await Promise.all([this.#streams.pool.destroy(), this.#posts.pool.destroy()])
  }
}
