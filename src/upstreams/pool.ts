// All ways to servers that are open: one shared pool for each HTTP server, one child for each stdio session.
import type { Clock } from '../base/clock.ts'
import { assert, GatewayError } from '../base/errors.ts'
import type { HttpTransport, Server, StdioTransport } from '../registry/server.ts'
import type { Egress } from './egress.ts'
import { StdioUpstream } from './stdio.ts'
import { HttpUpstream } from './streamable-http.ts'
import type { Upstream } from './upstream.ts'

export interface UpstreamsOptions {
  readonly egress: Egress
  readonly clock: Clock
  /** The gateway's environment; children see PATH, HOME, LANG and TMPDIR of it. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Calls of one HTTP server that may wait for a connection. */
  readonly maxQueuedCalls?: number
  /** Unread input of one child. */
  readonly maxQueuedBytes?: number
  /** Messages of one child that wait until somebody listens. */
  readonly maxQueuedMessages?: number
  readonly killGraceMs?: number
}

/** Children of one server that died before their first answer. */
interface Crashes {
  readonly revision: number
  readonly count: number
  readonly untilMs: number
}

const firstBackoffMs = 250
const maxBackoffMs = 30_000

export class Upstreams {
  readonly #options: UpstreamsOptions
  readonly #pools = new Map<string, { readonly revision: number; readonly upstream: HttpUpstream }>()
  /** Retired pools whose last exchanges may still run, so that `closeAll` reaches them. */
  readonly #retired = new Set<HttpUpstream>()
  readonly #children = new Map<string, Set<StdioUpstream>>()
  readonly #crashes = new Map<string, Crashes>()
  #closed = false

  constructor(options: UpstreamsOptions) {
    this.#options = options
  }

  /**
   * The shared way to an HTTP server. A newer revision replaces the older one, whose exchanges still end.
   * Throws `egress_denied` where the address is no longer allowed, `shutting_down` after `closeAll`.
   */
  for(server: Server): Upstream {
    const cached = this.#pools.get(server.id)
    if (cached && cached.revision >= server.revision) return cached.upstream
    const { transport } = server
    assert(transport.type === 'streamable-http', 'only HTTP servers are shared')
    if (this.#closed) throw new GatewayError('shutting_down')
    const upstream = this.#newPool({ ...server, transport })
    if (cached) this.#retire(cached.upstream)
    this.#pools.set(server.id, { revision: server.revision, upstream })
    return upstream
  }

  /**
   * A way for one session: the shared one over HTTP (whose `close` does nothing), a child of its own over stdio.
   * Throws as `for`, and `too_many_sessions`, or `upstream_unavailable` with `retryAfterS` while the server's
   * children die before they answer.
   */
  open(server: Server): Upstream {
    const { transport } = server
    return transport.type === 'stdio' ? this.#newChild({ ...server, transport }) : this.for(server)
  }

  /** To be called for every change of the registry. */
  onServerChange(
    change:
      | { readonly kind: 'changed'; readonly server: Server }
      | { readonly kind: 'removed'; readonly id: string },
  ): void {
    const id = change.kind === 'removed' ? change.id : change.server.id
    const cached = this.#pools.get(id)
    if (cached && (change.kind === 'removed' || change.server.revision > cached.revision)) {
      this.#pools.delete(id)
      this.#retire(cached.upstream)
    }
    // A change of status is no reason to try sooner, a changed command is.
    if (change.kind === 'removed' || change.server.revision !== this.#crashes.get(id)?.revision)
      this.#crashes.delete(id)
    if (change.kind === 'removed')
      for (const child of this.#children.get(id) ?? []) child.close().catch(() => {})
  }

  /** What is open now. */
  counts(): { pools: number; children: number; calls: number; streams: number } {
    let calls = 0
    let streams = 0
    for (const { upstream } of this.#pools.values()) {
      calls += upstream.inFlight.calls
      streams += upstream.inFlight.streams
    }
    let children = 0
    for (const set of this.#children.values()) children += set.size
    return { pools: this.#pools.size, children, calls, streams }
  }

  /** Closes everything at once: exchanges in flight fail, children are stopped. Resolves when all are gone. */
  async closeAll(): Promise<void> {
    this.#closed = true
    const pools = [...this.#pools.values()].map(({ upstream }) => upstream)
    const children = [...this.#children.values()].flatMap((set) => [...set])
    await Promise.all([
      ...[...pools, ...this.#retired].map((upstream) => upstream.destroy()),
      ...children.map((child) => child.close()),
    ])
    this.#pools.clear()
    this.#retired.clear()
  }

  /** Kills every child's process group; synchronous, for `process.on('exit')`. */
  killAllNow(): void {
    for (const set of this.#children.values()) for (const child of set) child.killNow()
  }

  #newPool(server: Server & { readonly transport: HttpTransport }): HttpUpstream {
    const { egress, maxQueuedCalls = 10_000 } = this.#options
    return new HttpUpstream(server, { egress, maxQueued: maxQueuedCalls })
  }

  #retire(upstream: HttpUpstream): void {
    this.#retired.add(upstream)
    upstream
      .retire()
      .finally(() => this.#retired.delete(upstream))
      .catch(() => {})
  }

  #newChild(server: Server & { readonly transport: StdioTransport }): StdioUpstream {
    if (this.#closed) throw new GatewayError('shutting_down')
    const children = this.#children.get(server.id) ?? new Set()
    if (children.size >= server.limits.maxSessions) throw new GatewayError('too_many_sessions')
    this.#refuseWhileCrashing(server.id)
    const {
      environment,
      killGraceMs = 2000,
      maxQueuedBytes = 1 << 24,
      maxQueuedMessages = 1000,
    } = this.#options
    const child: StdioUpstream = new StdioUpstream(server, {
      environment,
      killGraceMs,
      maxQueuedBytes,
      maxQueuedMessages,
      onAnswer: () => this.#crashes.delete(server.id),
      onGone: ({ failed }) => {
        children.delete(child)
        if (children.size === 0 && this.#children.get(server.id) === children)
          this.#children.delete(server.id)
        if (failed) this.#noteCrash(server)
      },
    })
    this.#children.set(server.id, children.add(child))
    return child
  }

  #refuseWhileCrashing(id: string): void {
    const waitMs = (this.#crashes.get(id)?.untilMs ?? 0) - this.#options.clock.monotonicMs()
    if (waitMs > 0)
      throw new GatewayError('upstream_unavailable', {
        detail: 'The MCP server ends as soon as it is started; it is started again after a pause.',
        retryAfterS: Math.ceil(waitMs / 1000),
      })
  }

  #noteCrash({ id, revision }: Server): void {
    const count = (this.#crashes.get(id)?.count ?? 0) + 1
    const pauseMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** Math.min(count - 1, 10))
    this.#crashes.set(id, { revision, count, untilMs: this.#options.clock.monotonicMs() + pauseMs })
  }
}
