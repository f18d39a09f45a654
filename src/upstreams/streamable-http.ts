// Streamable HTTP towards one server: bounded pools, the server's own credential, and the caller's bytes unchanged.
import { assert } from '../base/errors.ts'
import type { Server, HttpTransport } from '../registry/server.ts'
import { addressOf, type Address } from './address.ts'
import type { Egress } from './egress.ts'
import { startIn, type Lane } from './http-exchange.ts'
import { ConnectionPool } from './http1/connection-pool.ts'
import { Connector } from './http1/connector.ts'
import { constantHead, headerLine } from './http1/request-head.ts'
import { AuthorizedExchange } from './oauth/authorized-exchange.ts'
import type { UpstreamCaller } from './caller.ts'
import type { IdentityHeader } from './identity-header.ts'
import type { TokenSource } from './oauth/token-source.ts'
import type { ServerSecrets } from './secrets/server-secrets.ts'
import { WaitingExchange } from './secrets/waiting-exchange.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from './upstream.ts'

/** A registered server that is reached over HTTP. */
export type HttpServer = Server & { readonly transport: HttpTransport }

export interface HttpUpstreamOptions {
  readonly egress: Egress
  /** Calls that may wait for a connection; more are refused as not sent. */
  readonly maxQueued: number
  /** Of a server that wants access tokens, for a caller where each has its own. */
  readonly tokensOf?: (caller: UpstreamCaller | undefined) => TokenSource | undefined
  /** Of a server that is told who calls. */
  readonly identityOf?: ((caller: UpstreamCaller | undefined) => IdentityHeader | undefined) | undefined
  /** Of a server whose registration refers to secrets. */
  readonly secrets?: ServerSecrets<HttpServer> | undefined
}

/** What all ways to one revision of a server share. */
interface Lanes {
  readonly calls: Lane
  readonly streams: Lane
}

type CallHeaders = Readonly<Record<string, string>>

/** Headers that are the gateway's own and change from call to call. */
type OwnHeaders = Readonly<Record<string, string>>

/** For whom, and in which session of the server's own counting. */
interface View {
  readonly sessionId?: string | undefined
  readonly caller?: UpstreamCaller | undefined
  readonly lanes: Lanes
}

/** How every request of a method begins; undefined where the registration cannot be written as HTTP. */
interface Heads {
  /** With the secrets that it refers to, where it does. */
  readonly server: HttpServer
  readonly post: string | undefined
  readonly get: string | undefined
  readonly delete: string | undefined
}

type Start = (heads: Heads, own: OwnHeaders, sink: UpstreamSink) => UpstreamExchange

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
  readonly #view: Partial<View>
  readonly #identity: IdentityHeader | undefined
  readonly #byCaller = new WeakMap<UpstreamCaller, HttpUpstream>()
  /** Absent until the first request, where there are secrets to wait for. */
  #heads: Heads | undefined

  /** `view`: made by `forSession` and `forCaller`. */
  constructor(server: HttpServer, options: HttpUpstreamOptions, view: Partial<View> = {}) {
    this.#server = server
    this.#options = options
    this.#view = view
    this.#identity = options.identityOf?.(view.caller)
    const address = this.#addressOf(server)
    const { calls, streams } = view.lanes ?? newLanes(server, address.url, options)
    this.#calls = calls
    this.#streams = streams
    if (!options.secrets) this.#heads = headsOf(server, address)
  }

  #addressOf(server: HttpServer): Address {
    const checkUrl = (text: string): URL => this.#options.egress.checkUrl(text)
    return addressOf(server, { checkUrl, sessionId: this.#view.sessionId })
  }

  /**
   * The same way for one session of a server that wants the session's id in its own place: it adds the id to each
   * request, over the same connections. Like this way it is of one revision.
   */
  forSession(sessionId: string): HttpUpstream {
    return new HttpUpstream(this.#server, this.#options, { ...this.#view, sessionId, lanes: this.#lanes })
  }

  /** The same way for one caller, with what is shown of it to the server, over the same connections. */
  forCaller(caller: UpstreamCaller): HttpUpstream {
    const known = this.#byCaller.get(caller)
    if (known) return known
    const made = new HttpUpstream(this.#server, this.#options, { ...this.#view, caller, lanes: this.#lanes })
    this.#byCaller.set(caller, made)
    return made
  }

  get #lanes(): Lanes {
    return { calls: this.#calls, streams: this.#streams }
  }

  /** Exchanges that have not ended, by kind. */
  get inFlight(): { calls: number; streams: number } {
    return { calls: this.#calls.inFlight, streams: this.#streams.inFlight }
  }

  send({ body, headers, message }: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const lane = message.method === 'subscriptions/listen' ? this.#streams : this.#calls
    return this.#begin(sink, (heads, own, told) => {
      const head = withCallHeaders(heads.post, headers, { accept: acceptBoth, ...own })
      return startIn(lane, { head: head && `${head}content-length: ${body.length}\r\n\r\n`, body }, told)
    })
  }

  listen(headers: CallHeaders, sink: UpstreamSink): UpstreamExchange {
    return this.#begin(sink, (heads, own, told) => {
      const head = withCallHeaders(heads.get, headers, { accept: 'text/event-stream', ...own })
      return startIn(this.#streams, { head: head && `${head}\r\n` }, told)
    })
  }

  /** With the secrets that the registration refers to, where it does. */
  #begin(sink: UpstreamSink, start: Start): UpstreamExchange {
    const { secrets } = this.#options
    const server = secrets ? secrets.current : this.#server
    if (server) return this.#authorized(sink, this.#headsFor(server), start)
    assert(secrets !== undefined, 'only secrets are waited for')
    const ready = secrets.get().then((filled) => this.#headsFor(filled))
    return new WaitingExchange(ready, (found) => this.#authorized(sink, found, start), sink)
  }

  #headsFor(server: HttpServer): Heads {
    if (this.#heads?.server !== server) this.#heads = headsOf(server, this.#addressOf(server))
    return this.#heads
  }

  /** With an access token, where this server wants one. */
  #authorized(sink: UpstreamSink, heads: Heads, start: Start): UpstreamExchange {
    const identity = this.#identity
    const own = identity ? { [identity.name]: identity.value } : {}
    // Asked for each time: a user may have said yes meanwhile.
    const tokens = this.#options.tokensOf?.(this.#view.caller)
    if (!tokens) return start(heads, own, sink)
    return new AuthorizedExchange(
      tokens,
      (token, told) => start(heads, { authorization: `Bearer ${token}`, ...own }, told),
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
      const exchange = this.#begin(sink, (heads, own, told) => {
        const head = withCallHeaders(heads.delete, headers, { accept: acceptBoth, ...own })
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

function headsOf(server: HttpServer, { url, target, headers }: Address): Heads {
  const place = { host: url.host, target }
  const own = [['accept-encoding', 'identity'], ...headers] as const
  return {
    server,
    post: constantHead('POST', place, [['content-type', 'application/json'], ...own]),
    get: constantHead('GET', place, own),
    delete: constantHead('DELETE', place, own),
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
  { accept: defaultAccept = acceptBoth, ...others }: OwnHeaders,
): string | undefined {
  const accept = headerLine('accept', call.accept ?? defaultAccept)
  if (own === undefined || accept === undefined) return undefined
  let head = own + accept
  for (const name in others) {
    const line = headerLine(name, others[name] ?? '')
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
