// Streamable HTTP towards one server: bounded pools, the server's own credential, and the caller's bytes unchanged.
import type { Server, HttpTransport } from '../registry/server.ts'
import { addressOf } from './address.ts'
import type { Egress } from './egress.ts'
import { startIn, type Lane } from './http-exchange.ts'
import { ConnectionPool } from './http1/connection-pool.ts'
import { Connector } from './http1/connector.ts'
import { constantHead, headerLine } from './http1/request-head.ts'
import { AuthorizedExchange } from './oauth/authorized-exchange.ts'
import type { TokenSource } from './oauth/token-source.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from './upstream.ts'

/** A registered server that is reached over HTTP. */
export type HttpServer = Server & { readonly transport: HttpTransport }

export interface HttpUpstreamOptions {
  readonly egress: Egress
  /** Calls that may wait for a connection; more are refused as not sent. */
  readonly maxQueued: number
  /** Of a server that wants access tokens. */
  readonly tokens?: TokenSource | undefined
}

/** What all ways to one revision of a server share. */
interface Lanes {
  readonly calls: Lane
  readonly streams: Lane
}

type CallHeaders = Readonly<Record<string, string>>

/** Headers that are the gateway's own and change from call to call. */
interface OwnHeaders {
  readonly authorization?: string
}

const acceptBoth = 'application/json, text/event-stream'
const maxEndSessionMs = 10_000

/**
 * A way to one revision of a server. Calls share one pool of at most `limits.maxConnections`; streams that stay open
 * (GET, `subscriptions/listen`) have their own of at most `limits.maxSessions`, so that they never starve calls.
 * Whole-call time limits are the caller's: it aborts. A request is written at most once, whatever happens to it.
 */
export class HttpUpstream implements Upstream {
  readonly transport = 'streamable-http'
  readonly multiplexed = false
  readonly #server: HttpServer
  readonly #options: HttpUpstreamOptions
  readonly #calls: Lane
  readonly #streams: Lane
  /** How every request of a method begins; undefined where the registration cannot be written as HTTP. */
  readonly #post: string | undefined
  readonly #get: string | undefined
  readonly #delete: string | undefined

  /** `session`: a view for one session, made by `forSession`. */
  constructor(
    server: HttpServer,
    options: HttpUpstreamOptions,
    session?: { readonly id: string; readonly lanes: Lanes },
  ) {
    this.#server = server
    this.#options = options
    const checkUrl = (text: string): URL => options.egress.checkUrl(text)
    const { url, target, headers } = addressOf(server, { checkUrl, sessionId: session?.id })
    const { calls, streams } = session?.lanes ?? newLanes(server, url, options)
    this.#calls = calls
    this.#streams = streams
    const place = { host: url.host, target }
    const own = [['accept-encoding', 'identity'], ...headers] as const
    this.#post = constantHead('POST', place, [['content-type', 'application/json'], ...own])
    this.#get = constantHead('GET', place, own)
    this.#delete = constantHead('DELETE', place, own)
  }

  /**
   * The same way for one session of a server that wants the session's id in its own place: it adds the id to each
   * request, over the same connections. Like this way it is of one revision.
   */
  forSession(sessionId: string): HttpUpstream {
    const lanes = { calls: this.#calls, streams: this.#streams }
    return new HttpUpstream(this.#server, this.#options, { id: sessionId, lanes })
  }

  /** Exchanges that have not ended, by kind. */
  get inFlight(): { calls: number; streams: number } {
    return { calls: this.#calls.inFlight, streams: this.#streams.inFlight }
  }

  send({ body, headers, message }: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const lane = message.method === 'subscriptions/listen' ? this.#streams : this.#calls
    return this.#authorized(sink, (own, told) => {
      const head = withCallHeaders(this.#post, headers, { accept: acceptBoth, ...own })
      return startIn(lane, { head: head && `${head}content-length: ${body.length}\r\n\r\n`, body }, told)
    })
  }

  listen(headers: CallHeaders, sink: UpstreamSink): UpstreamExchange {
    return this.#authorized(sink, (own, told) => {
      const head = withCallHeaders(this.#get, headers, { accept: 'text/event-stream', ...own })
      return startIn(this.#streams, { head: head && `${head}\r\n` }, told)
    })
  }

  /** With an access token, where this server wants one. */
  #authorized(sink: UpstreamSink, start: (own: OwnHeaders, sink: UpstreamSink) => UpstreamExchange) {
    const { tokens } = this.#options
    if (!tokens) return start({}, sink)
    return new AuthorizedExchange(
      tokens,
      (token, told) => start({ authorization: `Bearer ${token}` }, told),
      sink,
    )
  }

  /** Resolves with the status; with 0 where the server could not be asked or does not answer. */
  endSession(headers: CallHeaders): Promise<number> {
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
      const exchange = this.#authorized(sink, (own, told) => {
        const head = withCallHeaders(this.#delete, headers, { accept: acceptBoth, ...own })
        return startIn(this.#calls, { head: head && `${head}\r\n` }, told)
      })
      const timer = setTimeout(
        () => {
          exchange.abort()
          resolve(0)
        },
        Math.min(this.#server.timeouts.callMs, maxEndSessionMs),
      )
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

function newLanes(server: HttpServer, url: URL, { egress, maxQueued }: HttpUpstreamOptions): Lanes {
  const { maxConnections, maxSessions, maxResponseBytes } = server.limits
  const connector = new Connector(url, { filter: egress, timeoutMs: server.timeouts.connectMs })
  return {
    calls: {
      kind: 'calls',
      pool: new ConnectionPool({ connector, maxConnections }),
      maxInFlight: maxConnections + maxQueued,
      maxResponseBytes,
      inFlight: 0,
    },
    streams: {
      kind: 'streams',
      pool: new ConnectionPool({ connector, maxConnections: maxSessions }),
      maxInFlight: maxSessions,
      maxResponseBytes,
      inFlight: 0,
    },
  }
}

/**
 * The server's headers and those of this message. Only MCP's own headers pass, though the caller has vetted them: a
 * client's Authorization or Cookie can never arrive at a server (MCP "Security Best Practices", token passthrough).
 * Undefined where one of them cannot be written.
 */
function withCallHeaders(
  own: string | undefined,
  call: CallHeaders,
  { accept: defaultAccept, authorization }: OwnHeaders & { readonly accept: string },
): string | undefined {
  const accept = headerLine('accept', call.accept ?? defaultAccept)
  if (own === undefined || accept === undefined) return undefined
  let head = own + accept
  if (authorization !== undefined) {
    const line = headerLine('authorization', authorization)
    if (line === undefined) return undefined
    head += line
  }
  for (const name in call) {
    const value = call[name]
    if (value === undefined || !(name.startsWith('mcp-') || name === 'last-event-id')) continue
    const line = headerLine(name, value)
    if (line === undefined) return undefined
    head += line
  }
  return head
}
