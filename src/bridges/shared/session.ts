// One session with a server, shared by several tenants so that nothing of one reaches another.
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import type { Json } from '../../eras/json-object.ts'
import type { ServerTransport } from '../../registry/server.ts'
import type { Upstream, UpstreamFailure, UpstreamMessage } from '../../upstreams/upstream.ts'
import { isRequest, isResponse, type JsonRpcRequest } from '../../wire/json-rpc.ts'
import type { OwnAnswer } from './answer.ts'
import { SharedCalls } from './calls.ts'
import type { SharedExchange } from './exchange.ts'
import { failureOf, forgotten, type InnerSession } from './inner.ts'
import { SharedLevel } from './level.ts'
import { closed, SharedOpener, type Opening } from './opener.ts'
import { Subscriptions } from './subscriptions.ts'
import { TaskOwners } from './tasks.ts'
import { Tenant, type TenantHost, type TenantLimits } from './tenant.ts'

export interface SharedSessionOptions {
  /** Of the server. */
  readonly transport: ServerTransport['type']
  /**
   * A new way to the server: a child or a connection of its own, which the session then owns and closes, or the pool
   * of an HTTP server. May throw a GatewayError, which the waiting tenants hear as a failure.
   */
  readonly open: () => Upstream
  readonly clock: Clock
  /** The gateway's own version, which servers see. */
  readonly version: string
  /** For initialize, and the longest that a tenant waits for the session to be opened again. */
  readonly openTimeoutMs: number
  /** How long the session stays after its last tenant. */
  readonly idleMs: number
  /** The session has ended and takes no more tenants. */
  readonly onClosed?: () => void
  readonly limits?: Partial<SharedLimits>
}

export interface SharedLimits extends TenantLimits {
  readonly maxTenants: number
  /** Requests of all tenants at the server. */
  readonly maxSent: number
  readonly maxSubscriptions: number
  readonly maxSubscriptionsPerTenant: number
  /** Tasks that one tenant can still ask for. */
  readonly maxTasksPerTenant: number
  /** Before the session is opened again: nothing the first time, then this, doubling. */
  readonly firstBackoffMs: number
  readonly maxBackoffMs: number
}

const defaultLimits: SharedLimits = {
  maxTenants: 1000,
  maxInFlight: 1000,
  maxSent: 10_000,
  maxHeldBytes: 1 << 22,
  maxQueuedMessages: 1000,
  maxQueuedBytes: 1 << 20,
  maxSubscriptions: 10_000,
  maxSubscriptionsPerTenant: 1000,
  maxTasksPerTenant: 1000,
  firstBackoffMs: 500,
  maxBackoffMs: 30_000,
}

/**
 * The gateway is the server's only client here: it initialises the session once, with no client capability, and each
 * tenant's initialize is answered from that. Ids, progress tokens and cancellations are mapped; what the server says of
 * its own goes to those whom it can only be about, or to nobody; what it asks is never passed on.
 */
export class SharedSession implements TenantHost {
  readonly transport: ServerTransport['type']
  readonly limits: SharedLimits
  readonly calls: SharedCalls
  readonly subscriptions: Subscriptions
  readonly level: SharedLevel
  readonly tasks: TaskOwners
  readonly #options: SharedSessionOptions
  readonly #opener: SharedOpener
  readonly #tenants = new Set<Tenant>()
  #lastId = 0
  #closed = false
  #idle: NodeJS.Timeout | undefined
  #renewal: NodeJS.Timeout | undefined

  constructor(options: SharedSessionOptions) {
    this.#options = options
    this.transport = options.transport
    this.limits = { ...defaultLimits, ...options.limits }
    const { clock, version, open, openTimeoutMs } = options
    const { maxSent, maxSubscriptions, maxSubscriptionsPerTenant, maxTasksPerTenant } = this.limits
    const nextId = (): number => ++this.#lastId
    const ask = (method: string, params: Json): Promise<OwnAnswer> => this.#ask(method, params)
    const onMessage = (inner: InnerSession, message: UpstreamMessage): void => this.#hear(inner, message)
    const onLost = (inner: InnerSession, failure: UpstreamFailure): void => this.#lose(inner, failure)
    this.tasks = new TaskOwners(maxTasksPerTenant)
    this.level = new SharedLevel(ask)
    this.subscriptions = new Subscriptions({
      ask,
      max: maxSubscriptions,
      maxPerCaller: maxSubscriptionsPerTenant,
    })
    this.calls = new SharedCalls({
      clock,
      nextId,
      maxInFlight: maxSent,
      tasks: this.tasks,
      onMessage,
      onLost,
      onUntaken: (exchange) => this.forward(exchange),
    })
    this.#opener = new SharedOpener({
      clock,
      open,
      maxWaitMs: openTimeoutMs,
      firstBackoffMs: this.limits.firstBackoffMs,
      maxBackoffMs: this.limits.maxBackoffMs,
      inner: {
        clock,
        version,
        nextId,
        onMessage,
        onLost,
        timeoutMs: openTimeoutMs,
        wantsStream: () => this.#wantsStream,
      },
      onOpen: (inner) => this.#onOpen(inner),
    })
  }

  get closed(): boolean {
    return this.#closed
  }

  /** What is held now; all zero after the last tenant has left. */
  counts(): { tenants: number; inFlight: number; sent: number; subscriptions: number; tasks: number } {
    let inFlight = 0
    for (const tenant of this.#tenants) inFlight += tenant.inFlight
    return {
      tenants: this.#tenants.size,
      inFlight,
      sent: this.calls.inFlight,
      subscriptions: this.subscriptions.size,
      tasks: this.tasks.size,
    }
  }

  /**
   * A way to the server for one tenant, who leaves by its `close`. Throws `too_many_sessions`, and `shutting_down`
   * after the session was closed.
   */
  join(tenant: { readonly id: string }): Upstream {
    if (this.#closed) throw new GatewayError('shutting_down')
    if (this.#tenants.size >= this.limits.maxTenants) throw new GatewayError('too_many_sessions')
    clearTimeout(this.#idle)
    const joined = new Tenant(tenant.id, this)
    this.#tenants.add(joined)
    return joined
  }

  /** Ends the session with the server; what tenants wait for fails, `gone`. Resolves when the server's side has ended. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#idle)
    clearTimeout(this.#renewal)
    this.#options.onClosed?.()
    this.subscriptions.clear()
    this.level.lost()
    for (const tenant of this.#tenants) {
      tenant.end(closed)
      this.#drop(tenant)
    }
    await this.#opener.close()
  }

  open(): Promise<Opening> {
    return this.#opener.get()
  }

  forward(exchange: SharedExchange): void {
    const inner = this.#opener.current
    if (inner) return this.calls.send(inner, exchange)
    void this.open().then((opening) => {
      if ('inner' in opening) this.calls.send(opening.inner, exchange)
      else exchange.fail('failure' in opening ? opening.failure : refused)
    })
  }

  onListening(): void {
    this.#opener.current?.stand()
  }

  onLeft(tenant: Tenant): void {
    this.#drop(tenant)
    if (this.#closed || this.#tenants.size > 0) return
    this.#idle = setTimeout(() => void this.close(), this.#options.idleMs)
    this.#idle.unref()
  }

  get #wantsStream(): boolean {
    if (this.subscriptions.size > 0) return true
    for (const tenant of this.#tenants) if (tenant.stream.open) return true
    return false
  }

  #drop(tenant: Tenant): void {
    this.#tenants.delete(tenant)
    this.tasks.drop(tenant)
    this.level.drop(tenant)
    this.subscriptions.drop(tenant)
  }

  #onOpen(inner: InnerSession): void {
    if (this.#wantsStream) inner.stand()
    this.level.renew()
    this.subscriptions.renew()
  }

  #lose(inner: InnerSession, failure: UpstreamFailure): void {
    const wasOpen = this.#opener.lose(inner)
    if (wasOpen) {
      this.level.lost()
      this.subscriptions.lost()
    }
    this.calls.loseAll(inner, failure)
    if (wasOpen) this.#renewLater()
  }

  /** Who follows a resource waits for news and sends nothing, so the session is opened again without being asked. */
  #renewLater(): void {
    if (this.#closed || this.#renewal || this.subscriptions.size === 0) return
    const delayMs = Math.max(this.#opener.pauseMs, this.limits.firstBackoffMs)
    this.#renewal = setTimeout(() => {
      this.#renewal = undefined
      if (this.subscriptions.size === 0 || this.#opener.current) return
      void this.open().then((opening) => 'inner' in opening || this.#renewLater())
    }, delayMs)
    this.#renewal.unref()
  }

  /** Asks the server in the stead of tenants. */
  async #ask(method: string, params: Json, again = false): Promise<OwnAnswer> {
    const opening = await this.open()
    if (!('inner' in opening)) return { failure: 'failure' in opening ? opening.failure : refused }
    const { inner } = opening
    try {
      const { status, message } = await inner.ask(method, params)
      if (status === 404 && inner.hasId) {
        this.#lose(inner, forgotten)
        return again ? { failure: forgotten } : await this.#ask(method, params, true)
      }
      if (message) return { message, status: 200 }
      return { failure: { stage: 'call', message: `The server gave no answer to ${method}.`, sent: true } }
    } catch (error) {
      return { failure: { ...failureOf(error), sent: true } }
    }
  }

  #hear(inner: InnerSession, { message, bytes }: UpstreamMessage): void {
    if (!message) return
    const heard = { message, bytes }
    if (isResponse(message)) return this.calls.answer(heard)
    if (isRequest(message)) return answerServer(inner, message)
    const { method = '', params } = message
    if (method === 'notifications/progress') return this.calls.progress(heard)
    if (method === 'notifications/message') {
      const sole = this.calls.soleCaller()
      if (sole && this.level.lets(sole, message)) sole.deliver(heard)
      return
    }
    if (method === 'notifications/resources/updated') return this.#updated(heard, params?.['uri'])
    if (method === 'notifications/tasks/status')
      return this.tasks.findOwner(params?.['taskId'])?.deliver(heard)
    if (method.endsWith('/list_changed')) {
      for (const tenant of this.#tenants) tenant.stream.push(heard, method)
      return
    }
    const [first] = this.#tenants
    if (first && this.#tenants.size === 1 && this.calls.mayBeAbout(first)) first.deliver(heard)
  }

  #updated(message: UpstreamMessage, uri: unknown): void {
    if (typeof uri !== 'string') return
    for (const caller of this.subscriptions.callersOf(uri))
      if (caller instanceof Tenant) caller.stream.push(message, `updated ${uri}`)
  }
}

const refused: UpstreamFailure = {
  stage: 'handshake',
  message: 'The server refused to open its session again.',
  sent: false,
}

/** A request of the server on a shared session: nobody knows which tenant it is for. */
function answerServer(inner: InnerSession, { id, method }: JsonRpcRequest): void {
  if (method === 'ping') return inner.tell({ jsonrpc: '2.0', id, result: {} })
  const message = `Several clients share this session, so ${method} cannot reach one of them; share it with nobody.`
  inner.tell({ jsonrpc: '2.0', id, error: { code: -32601, message } })
}
