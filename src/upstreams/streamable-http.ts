// Streamable HTTP towards one server: bounded pools, the server's own credential, and the caller's bytes unchanged.
import type { Server, ServerAuth, HttpTransport } from '../registry/server.ts'
import type { Egress } from './egress.ts'
import { HttpExchange, type Lane } from './http-exchange.ts'
import { ConnectionPool } from './http1/connection-pool.ts'
import { Connector } from './http1/connector.ts'
import { constantHead, headerLine } from './http1/request-head.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from './upstream.ts'

/** A registered server that is reached over HTTP. */
export type HttpServer = Server & { readonly transport: HttpTransport }

export interface HttpUpstreamOptions {
  readonly egress: Egress
  /** Calls that may wait for a connection; more are refused as not sent. */
  readonly maxQueued: number
}

type CallHeaders = Readonly<Record<string, string>>

const acceptBoth = 'application/json, text/event-stream'

/**
 * A way to one revision of a server. Calls share one pool of at most `limits.maxConnections`; streams that stay open
 * (GET, `subscriptions/listen`) have their own of at most `limits.maxSessions`, so that they never starve calls.
 * Whole-call time limits are the caller's: it aborts. A request is written at most once, whatever happens to it.
 */
export class HttpUpstream implements Upstream {
  readonly transport = 'streamable-http'
  readonly multiplexed = false
  readonly #calls: Lane
  readonly #streams: Lane
  readonly #endSessionMs: number
  /** How every request of a method begins; undefined where the registration cannot be written as HTTP. */
  readonly #post: string | undefined
  readonly #get: string | undefined
  readonly #delete: string | undefined

  constructor(server: HttpServer, options: HttpUpstreamOptions) {
    const url = options.egress.checkUrl(server.transport.url)
    const { maxConnections, maxSessions, maxResponseBytes } = server.limits
    const connector = new Connector(url, { filter: options.egress, timeoutMs: server.timeouts.connectMs })
    this.#calls = {
      kind: 'calls',
      pool: new ConnectionPool({ connector, maxConnections }),
      maxInFlight: maxConnections + options.maxQueued,
      maxResponseBytes,
      inFlight: 0,
    }
    this.#streams = {
      kind: 'streams',
      pool: new ConnectionPool({ connector, maxConnections: maxSessions }),
      maxInFlight: maxSessions,
      maxResponseBytes,
      inFlight: 0,
    }
    this.#endSessionMs = Math.min(server.timeouts.callMs, 10_000)
    const place = { host: url.host, target: url.pathname + credentialQuery(server.auth) }
    const own = [['accept-encoding', 'identity'], ...ownHeaders(server)] as const
    this.#post = constantHead('POST', place, [['content-type', 'application/json'], ...own])
    this.#get = constantHead('GET', place, own)
    this.#delete = constantHead('DELETE', place, own)
  }

  /** Exchanges that have not ended, by kind. */
  get inFlight(): { calls: number; streams: number } {
    return { calls: this.#calls.inFlight, streams: this.#streams.inFlight }
  }

  send({ body, headers, message }: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const head = withCallHeaders(this.#post, headers, acceptBoth)
    const request = { head: head && `${head}content-length: ${body.length}\r\n\r\n`, body }
    const lane = message.method === 'subscriptions/listen' ? this.#streams : this.#calls
    return startIn(lane, request, sink)
  }

  listen(headers: CallHeaders, sink: UpstreamSink): UpstreamExchange {
    const head = withCallHeaders(this.#get, headers, 'text/event-stream')
    return startIn(this.#streams, { head: head && `${head}\r\n` }, sink)
  }

  /** Resolves with the status; with 0 where the server could not be asked or does not answer. */
  endSession(headers: CallHeaders): Promise<number> {
    const head = withCallHeaders(this.#delete, headers, acceptBoth)
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
      const exchange = startIn(this.#calls, { head: head && `${head}\r\n` }, sink)
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
    await Promise.all([this.#calls.pool.close(), this.#streams.pool.close()])
  }

  /** Closes all connections at once; what is in flight fails. */
  async destroy(): Promise<void> {
    await Promise.all([this.#calls.pool.destroy(), this.#streams.pool.destroy()])
  }
}

/** What is to be written; without a head where a header cannot be written as it is. */
interface Written {
  readonly head: string | undefined
  readonly body?: Uint8Array
}

function startIn(lane: Lane, { head, body }: Written, sink: UpstreamSink): UpstreamExchange {
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

/**
 * The server's headers and those of this message. Only MCP's own headers pass, though the caller has vetted them: a
 * client's Authorization or Cookie can never arrive at a server (MCP "Security Best Practices", token passthrough).
 * Undefined where one of them cannot be written.
 */
function withCallHeaders(
  own: string | undefined,
  call: CallHeaders,
  defaultAccept: string,
): string | undefined {
  const accept = headerLine('accept', call.accept ?? defaultAccept)
  if (own === undefined || accept === undefined) return undefined
  let head = own + accept
  for (const name in call) {
    const value = call[name]
    if (value === undefined || !(name.startsWith('mcp-') || name === 'last-event-id')) continue
    const line = headerLine(name, value)
    if (line === undefined) return undefined
    head += line
  }
  return head
}

function ownHeaders(server: HttpServer): (readonly [string, string])[] {
  const headers = Object.entries(server.transport.headers ?? {})
  const { auth } = server
  if (auth.type === 'bearer') headers.push(['authorization', `Bearer ${auth.token}`])
  if (auth.type === 'basic')
    headers.push([
      'authorization',
      `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`,
    ])
  if (auth.type === 'api-key' && auth.in === 'header') headers.push([auth.name.toLowerCase(), auth.value])
  return headers
}

const credentialQuery = (auth: ServerAuth): string =>
  auth.type === 'api-key' && auth.in === 'query'
    ? `?${encodeURIComponent(auth.name)}=${encodeURIComponent(auth.value)}`
    : ''
