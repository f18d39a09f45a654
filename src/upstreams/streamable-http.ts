// Streamable HTTP towards one server: bounded pools, the server's own credential, and the caller's bytes unchanged.
import { Pool, type Dispatcher } from 'undici'
import type { Server, ServerAuth, HttpTransport } from '../registry/server.ts'
import type { Egress } from './egress.ts'
import { HttpExchange } from './http-exchange.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from './upstream.ts'

/** A registered server that is reached over HTTP. */
export type HttpServer = Server & { readonly transport: HttpTransport }

export interface HttpUpstreamOptions {
  readonly egress: Egress
  /** Calls that may wait for a connection; more are refused as not sent. */
  readonly maxQueued: number
}

const acceptBoth = 'application/json, text/event-stream'

/**
 * A way to one revision of a server. Calls share one pool of at most `limits.maxConnections`; streams that stay open
 * (GET, `subscriptions/listen`) have their own of at most `limits.maxSessions`, so that they never starve calls.
 * Whole-call time limits are the caller's: it aborts. A request is written at most once, whatever happens to it.
 */
export class HttpUpstream implements Upstream {
  readonly transport = 'streamable-http'
  readonly #calls: Pool
  readonly #streams: Pool
  readonly #path: string
  readonly #maxResponseBytes: number
  readonly #endSessionMs: number
  readonly #maxCalls: number
  readonly #maxStreams: number
  /** Headers of every POST, and of GET and DELETE. */
  readonly #postHeaders: readonly string[]
  readonly #plainHeaders: readonly string[]
  #callsInFlight = 0
  #streamsInFlight = 0
  readonly #callDone = (): void => {
    this.#callsInFlight--
  }
  readonly #streamDone = (): void => {
    this.#streamsInFlight--
  }

  constructor(server: HttpServer, options: HttpUpstreamOptions) {
    const url = options.egress.checkUrl(server.transport.url)
    const { maxConnections, maxSessions, maxResponseBytes } = server.limits
    const common: Pool.Options = {
      connect: options.egress.connector(server.timeouts.connectMs),
      allowH2: false,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveMaxTimeout: 60_000,
    }
    this.#calls = new Pool(url.origin, { ...common, connections: maxConnections })
    this.#streams = new Pool(url.origin, { ...common, connections: maxSessions })
    this.#path = url.pathname + credentialQuery(server.auth)
    this.#maxResponseBytes = maxResponseBytes
    this.#endSessionMs = Math.min(server.timeouts.callMs, 10_000)
    this.#maxCalls = maxConnections + options.maxQueued
    this.#maxStreams = maxSessions
    this.#plainHeaders = ['accept-encoding', 'identity', ...ownHeaders(server)]
    this.#postHeaders = ['content-type', 'application/json', ...this.#plainHeaders]
  }

  /** Exchanges that have not ended, by kind. */
  get inFlight(): { calls: number; streams: number } {
    return { calls: this.#callsInFlight, streams: this.#streamsInFlight }
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const headers = withCallHeaders(this.#postHeaders, request.headers, acceptBoth)
    const options = { path: this.#path, method: 'POST', headers, body: request.body, idempotent: false }
    return request.message.method === 'subscriptions/listen'
      ? this.#dispatchStream(options, sink)
      : this.#dispatchCall(options, sink)
  }

  listen(headers: Readonly<Record<string, string>>, sink: UpstreamSink): UpstreamExchange {
    const all = withCallHeaders(this.#plainHeaders, headers, 'text/event-stream')
    return this.#dispatchStream({ path: this.#path, method: 'GET', headers: all, idempotent: false }, sink)
  }

  /** Resolves with the status; with 0 where the server could not be asked or does not answer. */
  endSession(headers: Readonly<Record<string, string>>): Promise<number> {
    const all = withCallHeaders(this.#plainHeaders, headers, acceptBoth)
    return new Promise((resolve) => {
      let status = 0
      const done = (): void => {
        clearTimeout(timer)
        resolve(status)
      }
      const sink: UpstreamSink = {
        head: (head) => (status = head.status),
        message: () => {},
        end: done,
        fail: done,
      }
      const exchange = this.#dispatchCall(
        { path: this.#path, method: 'DELETE', headers: all, idempotent: false },
        sink,
      )
      const timer = setTimeout(() => {
        exchange.abort()
        resolve(0)
      }, this.#endSessionMs)
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** Takes no more requests; resolves when those in flight have ended and the connections are closed. */
  async retire(): Promise<void> {
    await Promise.all([this.#calls.close(), this.#streams.close()])
  }

  /** Closes all connections at once; what is in flight fails. */
  async destroy(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#streams.destroy()])
  }

  #dispatchCall(options: Dispatcher.DispatchOptions, sink: UpstreamSink): UpstreamExchange {
    this.#callsInFlight++
    const exchange = new HttpExchange(sink, this.#maxResponseBytes, this.#callDone)
    if (this.#callsInFlight > this.#maxCalls) {
      this.#callsInFlight--
      return refuseOverload(exchange, 'calls')
    }
    this.#calls.dispatch(options, exchange)
    return exchange.started()
  }

  #dispatchStream(options: Dispatcher.DispatchOptions, sink: UpstreamSink): UpstreamExchange {
    this.#streamsInFlight++
    const exchange = new HttpExchange(sink, this.#maxResponseBytes, this.#streamDone)
    if (this.#streamsInFlight > this.#maxStreams) {
      this.#streamsInFlight--
      return refuseOverload(exchange, 'streams')
    }
    this.#streams.dispatch(options, exchange)
    return exchange.started()
  }
}

const refuseOverload = (exchange: HttpExchange, what: string): UpstreamExchange =>
  exchange.refuse({ stage: 'connect', message: `Too many ${what} wait for this server.`, sent: false })

/**
 * The server's headers and those of this message. Only MCP's own headers pass, though the caller has vetted them: a
 * client's Authorization or Cookie can never arrive at a server (MCP "Security Best Practices", token passthrough).
 */
function withCallHeaders(
  own: readonly string[],
  call: Readonly<Record<string, string>>,
  defaultAccept: string,
): string[] {
  const headers = own.slice()
  headers.push('accept', call.accept ?? defaultAccept)
  for (const name in call) {
    const value = call[name]
    if (value !== undefined && (name.startsWith('mcp-') || name === 'last-event-id'))
      headers.push(name, value)
  }
  return headers
}

function ownHeaders(server: HttpServer): string[] {
  const headers = Object.entries(server.transport.headers ?? {}).flat()
  const { auth } = server
  if (auth.type === 'bearer') headers.push('authorization', `Bearer ${auth.token}`)
  if (auth.type === 'basic')
    headers.push(
      'authorization',
      `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`,
    )
  if (auth.type === 'api-key' && auth.in === 'header') headers.push(auth.name.toLowerCase(), auth.value)
  return headers
}

const credentialQuery = (auth: ServerAuth): string =>
  auth.type === 'api-key' && auth.in === 'query'
    ? `?${encodeURIComponent(auth.name)}=${encodeURIComponent(auth.value)}`
    : ''
