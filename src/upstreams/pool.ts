// All ways to servers that are open: shared pools for each HTTP server, a connection or child for each other session.
import type { Clock } from '../base/clock.ts'
import { assert, GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import type { Server } from '../registry/server.ts'
import { isPersonal, type UpstreamCaller } from './caller.ts'
import { ConnectionUpstream } from './connection.ts'
import type { ChildWatch } from './child-watch.ts'
import { CrashBackoff } from './crash-backoff.ts'
import type { Egress } from './egress.ts'
import { IdentityHeader, type IdentitySignerOptions } from './identity-header.ts'
import type { Link, LinkEvents } from './link.ts'
import { SseLink } from './sse.ts'
import { SsePool, type SseServer } from './sse-pool.ts'
import { TokenSources } from './oauth/token-sources.ts'
import type { UserTokens } from './oauth/user-tokens.ts'
import { LateLink } from './secrets/late-link.ts'
import { hasReferences, noSecrets, ServerSecrets, type SecretReader } from './secrets/server-secrets.ts'
import { StdioLink, StdioUpstream } from './stdio.ts'
import { HttpUpstream, type HttpUpstreamOptions } from './streamable-http.ts'
import type { Upstream } from './upstream.ts'
import { WebSocketLink } from './websocket.ts'

export interface UpstreamsOptions {
  readonly egress: Egress
  readonly clock: Clock
  /** The gateway's environment; children see PATH, HOME, LANG and TMPDIR of it. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What registrations refer to; absent: nothing can be referred to. */
  readonly secrets?: SecretReader
  /** Calls of one HTTP server, or messages to one HTTP+SSE server, that may wait for a connection. */
  readonly maxQueuedCalls?: number
  /** Unread input of one child or connection. */
  readonly maxQueuedBytes?: number
  /** Messages of one child or connection that wait until somebody listens, or until it is open. */
  readonly maxQueuedMessages?: number
  readonly killGraceMs?: number
  /** Holds children to limits. */
  readonly childWatch?: ChildWatch
  /** Signs for servers that are told who calls. */
  readonly identity?: IdentitySignerOptions
  /** Of servers that want a token of each user. */
  readonly userTokens?: Pick<UserTokens, 'sourceOf'>
}

export interface OpenOptions {
  /** What stands at the server's `sessionId` place; one is made up where it has such a place and none is given. */
  readonly sessionId?: string | undefined
  /** Absent: the gateway itself. */
  readonly caller?: UpstreamCaller | undefined
}

interface UpstreamCounts {
  /** Of HTTP and HTTP+SSE servers. */
  readonly pools: number
  readonly children: number
  /** HTTP+SSE and WebSocket. */
  readonly connections: number
  readonly calls: number
  readonly streams: number
}

type Pool = HttpUpstream | SsePool

export class Upstreams {
  readonly #options: UpstreamsOptions
  readonly #pools = new Map<string, { readonly revision: number; readonly pool: Pool }>()
  /** Retired pools whose last exchanges may still run, so that `closeAll` reaches them. */
  readonly #retired = new Set<Pool>()
  /** Connections and children, by server. */
  readonly #connections = new Map<string, Set<ConnectionUpstream>>()
  readonly #crashes: CrashBackoff
  readonly #tokens: TokenSources
  #closed = false

  constructor(options: UpstreamsOptions) {
    this.#options = options
    this.#crashes = new CrashBackoff(options.clock)
    this.#tokens = new TokenSources(options)
  }

  /**
   * The shared way to an HTTP server, as one caller may use it where the server is told who calls. A newer revision replaces the older one, whose exchanges still end.
   * Throws `egress_denied` where the address is no longer allowed, `shutting_down` after `closeAll`.
   */
  for(server: Server, caller?: UpstreamCaller): HttpUpstream {
    const { transport } = server
    const found = this.#poolOf(server, () => {
      assert(transport.type === 'streamable-http', 'only HTTP servers are shared')
      const { egress, maxQueuedCalls: maxQueued = 10_000 } = this.#options
      const plain = { ...server, transport }
      const secrets = hasReferences(server) ? new ServerSecrets(plain, this.#secrets) : undefined
      const [tokensOf, identityOf] = [this.#tokens.of(server), this.#identitiesOf(server)]
      return new HttpUpstream(plain, { egress, maxQueued, tokensOf, identityOf, secrets })
    })
    if (!(found instanceof HttpUpstream)) throw changedError()
    return caller && isPersonal(server) ? found.forCaller(caller) : found
  }

  /**
   * A way for one session. Over HTTP: the shared one, whose `close` does nothing, or where the server wants the
   * session's id in its own place, a view of it that adds the id to each request (cheap, of this revision only).
   * Else a connection or child of its own, which is opening. Throws as `for`, and `too_many_sessions`, or
   * `upstream_unavailable` with `retryAfterS` while the server's connections end before they answer.
   */
  open(server: Server, { sessionId, caller }: OpenOptions = {}): Upstream {
    const { transport } = server
    if (transport.type !== 'streamable-http') return this.#connect(server, sessionId)
    const shared = this.for(server, caller)
    return transport.sessionId ? shared.forSession(sessionId ?? newId('ses')) : shared
  }

  /** To be called for every change of the registry. */
  onServerChange(
    change:
      | { readonly kind: 'changed'; readonly server: Server }
      | { readonly kind: 'removed'; readonly id: string },
  ): void {
    const id = change.kind === 'removed' ? change.id : change.server.id
    const revision = change.kind === 'removed' ? Infinity : change.server.revision
    const cached = this.#pools.get(id)
    if (cached && revision > cached.revision) {
      this.#pools.delete(id)
      this.#retire(cached.pool)
    }
    this.#crashes.onRevision(id, revision)
    if (change.kind === 'removed')
      for (const connection of this.#connections.get(id) ?? []) connection.close().catch(() => {})
  }

  /** What is open now. */
  counts(): UpstreamCounts {
    const counts = { pools: this.#pools.size, children: 0, connections: 0, calls: 0, streams: 0 }
    for (const { pool } of this.#pools.values()) {
      const { calls, streams } = pool.inFlight
      counts.calls += calls
      counts.streams += streams
    }
    for (const set of this.#connections.values())
      for (const { transport } of set) counts[transport === 'stdio' ? 'children' : 'connections']++
    return counts
  }

  /** Closes everything at once: exchanges in flight fail, children are stopped. Resolves when all are gone. */
  async closeAll(): Promise<void> {
    this.#closed = true
    const connections = [...this.#connections.values()].flatMap((set) => [...set])
    await Promise.all(connections.map((connection) => connection.close()))
    const pools = [...this.#pools.values()].map(({ pool }) => pool)
    await Promise.all([...pools, ...this.#retired].map((pool) => pool.destroy()))
    this.#pools.clear()
    this.#retired.clear()
  }

  /** Kills every child's process group and drops every connection; synchronous, for `process.on('exit')`. */
  killAllNow(): void {
    for (const set of this.#connections.values()) for (const connection of set) connection.killNow()
  }

  #poolOf(server: Server, make: () => Pool): Pool {
    const cached = this.#pools.get(server.id)
    if (cached && cached.revision >= server.revision) return cached.pool
    if (this.#closed) throw new GatewayError('shutting_down')
    const pool = make()
    if (cached) this.#retire(cached.pool)
    this.#pools.set(server.id, { revision: server.revision, pool })
    return pool
  }

  #identitiesOf({ identity: note, transport }: Server): HttpUpstreamOptions['identityOf'] {
    const { identity } = this.#options
    if (!note || !identity || transport.type !== 'streamable-http') return undefined
    const { url: serverUrl } = transport
    return (caller) => new IdentityHeader(identity, { note, serverUrl, caller })
  }

  get #secrets(): SecretReader {
    return this.#options.secrets ?? noSecrets
  }

  #ssePool(server: SseServer): SsePool {
    const found = this.#poolOf(server, () => {
      const { egress, maxQueuedCalls: maxQueued = 10_000 } = this.#options
      return new SsePool(server, { egress, maxQueued })
    })
    if (!(found instanceof SsePool)) throw changedError()
    return found
  }

  #retire(pool: Pool): void {
    this.#retired.add(pool)
    pool
      .retire()
      .finally(() => this.#retired.delete(pool))
      .catch(() => {})
  }

  #connect(server: Server, sessionId: string | undefined): ConnectionUpstream {
    if (this.#closed) throw new GatewayError('shutting_down')
    const connections = this.#connections.get(server.id) ?? new Set()
    if (connections.size >= server.limits.maxSessions) throw new GatewayError('too_many_sessions')
    this.#refuseWhileCrashing(server)
    const connection: ConnectionUpstream = this.#newConnection(server, sessionId, ({ failed }) => {
      connections.delete(connection)
      if (connections.size === 0 && this.#connections.get(server.id) === connections)
        this.#connections.delete(server.id)
      if (failed) this.#crashes.note(server)
    })
    this.#connections.set(server.id, connections.add(connection))
    return connection
  }

  #newConnection(
    server: Server,
    sessionId: string | undefined,
    onGone: (end: { readonly failed: boolean }) => void,
  ): ConnectionUpstream {
    const { egress, environment, killGraceMs = 2000, maxQueuedBytes = 1 << 24 } = this.#options
    const { maxQueuedMessages = 1000, childWatch: watch } = this.#options
    const onAnswer = (): void => this.#crashes.forgive(server.id)
    const { connectMs } = server.timeouts
    const options = { connectMs, maxQueuedMessages, maxQueuedBytes, onAnswer, onGone }
    const { transport } = server
    const child = { ...options, environment, killGraceMs, watch }
    const isReferring = hasReferences(server)
    if (transport.type === 'stdio' && !isReferring) return new StdioUpstream({ ...server, transport }, child)
    const link = (filled: Server, events: LinkEvents): Link => {
      const { transport: way } = filled
      if (way.type === 'stdio') return new StdioLink({ ...filled, transport: way }, child, events)
      const own = { sessionId, maxQueuedBytes, egress, killGraceMs }
      if (way.type === 'websocket') return new WebSocketLink({ ...filled, transport: way }, own, events)
      assert(way.type === 'sse' && transport.type === 'sse', 'a transport that has connections')
      const pool = this.#ssePool({ ...server, transport })
      return new SseLink(pool, { sessionId, maxQueuedBytes, server: { ...filled, transport: way } }, events)
    }
    if (!isReferring) return new ConnectionUpstream(transport.type, (events) => link(server, events), options)
    const ready = new ServerSecrets(server, this.#secrets).get()
    return new ConnectionUpstream(transport.type, (events) => new LateLink(ready, link, events), options)
  }

  #refuseWhileCrashing({ id, transport }: Server): void {
    const waitMs = this.#crashes.waitMs(id)
    if (waitMs <= 0) return
    const what =
      transport.type === 'stdio'
        ? 'ends as soon as it is started; it is started'
        : 'cannot be connected to, or breaks off before it answers; it is tried'
    throw new GatewayError('upstream_unavailable', {
      detail: `The MCP server ${what} again after a pause.`,
      retryAfterS: Math.ceil(waitMs / 1000),
    })
  }
}

/** Somebody holds a registration that has another transport by now. */
const changedError = (): GatewayError =>
  new GatewayError('upstream_unavailable', {
    detail: 'The registration of the MCP server has changed; open a new session.',
  })
