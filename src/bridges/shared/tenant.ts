// One tenant of a shared session: what looks to its client like a session with the server of its own.
import { findRevision, type Revision } from '../../eras/revisions.ts'
import { readAddress, readdressAnswer, withoutToken, written } from '../../eras/readdress.ts'
import type { ServerTransport } from '../../registry/server.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../../upstreams/upstream.ts'
import { isRequest, type JsonRpcRequest, type RequestId } from '../../wire/json-rpc.ts'
import { legacyVersions } from '../../wire/protocol-version.ts'
import { done, refusal, success, type OwnAnswer } from './answer.ts'
import type { SharedCalls } from './calls.ts'
import { SharedExchange, type Caller } from './exchange.ts'
import type { SharedLevel } from './level.ts'
import { closed, type Opening } from './opener.ts'
import { refuse, TenantStream } from './stream.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { TaskOwners } from './tasks.ts'

/** What a tenant needs of the session that it shares. */
export interface TenantHost {
  readonly transport: ServerTransport['type']
  readonly calls: SharedCalls
  readonly subscriptions: Subscriptions
  readonly level: SharedLevel
  readonly tasks: TaskOwners
  readonly limits: TenantLimits
  open(): Promise<Opening>
  /** Sends a message to the server, as soon as the session is open. */
  forward(exchange: SharedExchange): void
  /** The tenant has opened its stream. */
  onListening(): void
  onLeft(tenant: Tenant): void
}

export interface TenantLimits {
  /** Requests of one tenant, sent or waiting. */
  readonly maxInFlight: number
  /** What may wait of one answer while its client does not read. */
  readonly maxHeldBytes: number
  /** What may wait of the server's own messages while a tenant does not read. */
  readonly maxQueuedMessages: number
  readonly maxQueuedBytes: number
}

export class Tenant implements Upstream, Caller {
  readonly id: string
  readonly multiplexed = true
  readonly era = 'legacy'
  readonly stream: TenantStream
  revision: Revision | undefined
  readonly #host: TenantHost
  readonly #exchanges = new Set<SharedExchange>()
  readonly #byId = new Map<RequestId, SharedExchange>()
  #closed = false

  constructor(id: string, host: TenantHost) {
    this.id = id
    this.#host = host
    const { maxQueuedMessages, maxQueuedBytes } = host.limits
    this.stream = new TenantStream({ maxMessages: maxQueuedMessages, maxBytes: maxQueuedBytes })
  }

  get transport(): ServerTransport['type'] {
    return this.#host.transport
  }

  get inFlight(): number {
    return this.#exchanges.size
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const { message } = request
    const { maxInFlight, maxHeldBytes } = this.#host.limits
    if (this.#exchanges.size >= maxInFlight) return refuse(sink, 'Too many requests of this session wait.')
    if (isRequest(message) && this.#byId.has(message.id))
      return refuse(sink, 'A request with this id is already waiting for its answer.')
    const exchange = new SharedExchange(request, sink, {
      caller: this,
      maxHeldBytes,
      onSettled: (exchange) => this.#forget(exchange),
      onOverflow: (exchange) => this.#host.calls.giveUp(exchange, 'the answer is not read'),
    })
    this.#exchanges.add(exchange)
    if (this.#closed) queueMicrotask(() => exchange.fail(closed))
    else if (isRequest(message)) {
      this.#byId.set(message.id, exchange)
      this.#request(exchange, message)
    } else this.#notice(exchange)
    return exchange
  }

  listen(_: Readonly<Record<string, string>>, sink: UpstreamSink): UpstreamExchange {
    if (this.#closed) return refuse(sink, closed.message)
    const exchange = this.stream.attach(sink)
    this.#host.onListening()
    return exchange
  }

  /** The tenant leaves; the session with the server stays for the others. */
  async endSession(): Promise<number> {
    await this.close()
    return 200
  }

  close(): Promise<void> {
    if (!this.#closed) {
      for (const exchange of this.#exchanges) this.#host.calls.giveUp(exchange, 'the client has left')
      this.end(closed)
      this.#host.onLeft(this)
    }
    return Promise.resolve()
  }

  /** Everything that waits fails; what was sent may have run. */
  end(failure: UpstreamFailure): void {
    this.#closed = true
    for (const exchange of this.#exchanges) exchange.fail({ ...failure, sent: exchange.run !== undefined })
    this.stream.fail(failure)
  }

  deliver(message: UpstreamMessage): void {
    if (this.stream.open) return this.stream.push(message)
    let newest: SharedExchange | undefined
    for (const exchange of this.#exchanges) if (exchange.running) newest = exchange
    newest?.pass(message)
  }

  #request(exchange: SharedExchange, message: JsonRpcRequest): void {
    const { subscriptions, level, tasks } = this.#host
    const params = withoutToken(message.params ?? {})
    switch (message.method) {
      case 'initialize':
        return this.#own(exchange, message, this.#initialize(message))
      case 'ping':
        return this.#own(exchange, message, Promise.resolve(done))
      case 'logging/setLevel':
        return this.#own(exchange, message, level.set(this, params))
      case 'resources/subscribe':
        return this.#own(exchange, message, subscriptions.subscribe(this, params))
      case 'resources/unsubscribe':
        return this.#own(exchange, message, subscriptions.unsubscribe(this, params))
      default:
        if (!tasks.isForeign(this, message)) return this.#host.forward(exchange)
        return this.#own(
          exchange,
          message,
          Promise.resolve(refusal(-32602, 'Failed to retrieve task: Task not found')),
        )
    }
  }

  /** What needs no answer: taken here, or passed on. Answers of the client have no question. */
  #notice(exchange: SharedExchange): void {
    const { message } = exchange.request
    if (message.method !== undefined && !ownNotices.has(message.method)) return this.#host.forward(exchange)
    queueMicrotask(() => {
      exchange.head({ status: 202, contentType: 'none' })
      exchange.end()
    })
    if (message.method !== 'notifications/cancelled') return
    const target = this.#byId.get(message.params?.['requestId'] as RequestId)
    if (!target) return
    if (target.run) this.#host.calls.cancel(target, message)
    else if (target.request.message.method !== 'initialize') target.fail(takenBack)
  }

  async #initialize({ params }: JsonRpcRequest): Promise<OwnAnswer> {
    const opening = await this.#host.open()
    if ('failure' in opening) return opening
    if ('reply' in opening) return { message: opening.reply.message, status: opening.reply.status }
    const { initialized, protocolVersion: servers } = opening.inner
    const protocolVersion = agreedVersion(params?.['protocolVersion'], servers)
    this.revision = protocolVersion === servers ? undefined : findRevision(protocolVersion)
    return success({ ...initialized, protocolVersion })
  }

  #own(exchange: SharedExchange, message: JsonRpcRequest, answer: Promise<OwnAnswer>): void {
    void answer.then((found) => {
      if ('failure' in found) return exchange.fail(found.failure)
      if (found.message) {
        const address = readAddress(message, exchange.request.body)
        return exchange.answer(readdressAnswer(written(found.message), address), found.status)
      }
      exchange.head({ status: found.status, contentType: 'none' })
      exchange.end()
    })
  }

  #forget(exchange: SharedExchange): void {
    this.#exchanges.delete(exchange)
    const { id } = exchange.request.message
    if (id !== undefined && id !== null && this.#byId.get(id) === exchange) this.#byId.delete(id)
    this.#host.calls.forget(exchange)
  }
}

/** Notifications that end here: they are about what the gateway itself has declared, asked, or does for the tenant. */
const ownNotices: ReadonlySet<string> = new Set([
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
])

const takenBack: UpstreamFailure = {
  stage: 'call',
  message: 'The request was cancelled before it was sent.',
  sent: false,
}

/** The version that a tenant asks for, where the server's session can be used as one of it. */
function agreedVersion(asked: unknown, servers: string): string {
  const known = legacyVersions.find((version) => version === asked)
  return known !== undefined && known <= servers ? known : servers
}
