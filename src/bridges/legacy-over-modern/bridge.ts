// A modern server as a legacy server, for one legacy client's session: handshake, settings and standing stream live here.
import { randomUUID } from 'node:crypto'
import { changeFilter, subscriptionIdOf } from '../../eras/change-filter.ts'
import { exactly } from '../../eras/exact-json.ts'
import type { Json } from '../../eras/json-object.ts'
import {
  hasCapability,
  initializeResult,
  isLogLevel,
  modernHeaders,
  modernMessage,
  readClient,
  type LegacyClient,
} from '../../eras/legacy-client-modern-server.ts'
import { errorResponse, isRequest, isResponse, resultResponse } from '../../wire/json-rpc.ts'
import type { JsonRpcMessage, JsonRpcRequest, RequestId } from '../../wire/json-rpc.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../../upstreams/upstream.ts'
import { LegacyCall, type AskingRequest, type CallHost, type RoundLimits } from './call.ts'
import { ChangeStream, type StreamHost, type StreamLimits } from './stream.ts'
import { OwnExchange } from '../own-exchange.ts'
import { cannotCarry, emptyResult, noWay } from '../own-texts.ts'

export interface LegacyOverModernOptions {
  /** The way to the server as it stands now; what it gives is closed with this bridge. May throw where there is none. */
  readonly way: () => Upstream
  /** The server's answer to `server/discover`. */
  readonly discover: Json
  /** The input schema of one of its tools; `fresh`: the server has just refused what an earlier answer led to. */
  readonly toolSchema: (tool: string, fresh: boolean) => Promise<unknown>
  /** The server answered as none of the modern era does; its era should be asked again. */
  readonly onEraDoubt?: () => void
  readonly limits?: Partial<LegacyOverModernLimits>
  /** For the ids of URL elicitations. */
  readonly mintId?: () => string
}

export interface LegacyOverModernLimits extends RoundLimits, StreamLimits {
  /** Requests in flight in the session. */
  readonly maxCalls: number
  /** Resources that the session may be subscribed to. */
  readonly maxSubscriptions: number
}

/** Rounds and their time as in the official SDK's own bridge. */
const usualLimits: LegacyOverModernLimits = {
  maxRounds: 8,
  maxQuestions: 16,
  roundTimeoutMs: 600_000,
  pacingMs: 250,
  acknowledgeMs: 5000,
  firstPauseMs: 1000,
  longestPauseMs: 30_000,
  random: Math.random,
  maxCalls: 1000,
  maxSubscriptions: 1000,
}

/** Notifications of a client that say nothing to a server without sessions. */
const withoutMeaning = new Set([
  'notifications/initialized',
  'notifications/roots/list_changed',
  'notifications/progress',
])

/**
 * One per session. Its sinks hear what a legacy server would send: requests of the server too, whose answers come by
 * `send`. Frames never pass, so nothing can be resumed with an event id.
 */
export class LegacyOverModern implements Upstream, CallHost, StreamHost {
  readonly era = 'modern'
  readonly multiplexed = true
  readonly limits: LegacyOverModernLimits
  readonly streamLimits: StreamLimits
  readonly mintId: () => string
  readonly #options: LegacyOverModernOptions
  readonly #calls = new Map<RequestId, LegacyCall>()
  readonly #asking = new Map<string, LegacyCall>()
  readonly #ids = new Set<RequestId>()
  readonly #uris = new Set<string>()
  #client: LegacyClient | undefined
  #stream: ChangeStream | undefined
  #lastId = 0
  #closed = false

  constructor(options: LegacyOverModernOptions) {
    this.#options = options
    this.limits = { ...usualLimits, ...options.limits }
    this.streamLimits = this.limits
    this.mintId = options.mintId ?? randomUUID
  }

  get transport(): Upstream['transport'] {
    return this.#options.way().transport
  }

  /** What is in memory; all zero when everything has ended. */
  get sizes(): { calls: number; questions: number; ids: number; subscriptions: number; streams: number } {
    return {
      calls: this.#calls.size,
      questions: this.#asking.size,
      ids: this.#ids.size,
      subscriptions: this.#uris.size,
      streams: this.#stream ? 1 : 0,
    }
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const { message } = request
    if (this.#closed) return this.#refuse(sink, 'The session was closed.')
    if (isResponse(message)) {
      const call = typeof message.id === 'string' ? this.#asking.get(message.id) : undefined
      call?.answered(String(message.id), message, exactly(message, request.body))
      return new OwnExchange(sink).answerBare(202)
    }
    if (!isRequest(message)) return this.#notice(request, sink)
    return this.#local(message, sink) ?? this.#call({ ...request, message }, sink)
  }

  listen(_: UpstreamRequest['headers'], sink: UpstreamSink): UpstreamExchange {
    if (this.#closed) return this.#refuse(sink, 'The session was closed.')
    if (this.#stream) return this.#refuse(sink, 'This session already has a stream.')
    this.#stream = new ChangeStream(this, sink)
    return this.#stream.start()
  }

  /** Ends the session here; the server knows nothing of it. */
  async endSession(): Promise<number> {
    await this.close()
    return 200
  }

  /** Ends everything, and the way where it was this session's own. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const call of this.#calls.values()) call.close()
    this.#stream?.close()
    this.#uris.clear()
    let way: Upstream
    try {
      way = this.#options.way()
    } catch {
      return
    }
    await way.close()
  }

  reach(): Upstream {
    return this.#options.way()
  }

  takeId(wanted?: RequestId): RequestId {
    let id = wanted ?? this.#newId()
    while (this.#ids.has(id)) id = this.#newId()
    this.#ids.add(id)
    return id
  }

  freeId(id: RequestId): void {
    this.#ids.delete(id)
  }

  ask(call: LegacyCall): string {
    const id = this.#newId()
    this.#asking.set(id, call)
    return id
  }

  forget(questionId: string): void {
    this.#asking.delete(questionId)
  }

  divert(message: UpstreamMessage): boolean {
    if (!message.message || subscriptionIdOf(message.message) === undefined) return false
    this.#stream?.receive(message)
    return true
  }

  toolSchema(tool: string, fresh: boolean): Promise<unknown> {
    return this.#options.toolSchema(tool, fresh)
  }

  doubtEra(): void {
    this.#options.onEraDoubt?.()
  }

  finished(call: LegacyCall): void {
    if (this.#calls.get(call.id) === call) this.#calls.delete(call.id)
  }

  listenRequest(id: RequestId): UpstreamRequest | undefined {
    const client = this.#client
    const notifications = client && changeFilter(this.#options.discover['capabilities'], this.#uris)
    if (!notifications) return undefined
    const message = modernMessage(
      { jsonrpc: '2.0', id, method: 'subscriptions/listen', params: { notifications } },
      client,
    )
    return {
      body: Buffer.from(JSON.stringify(message)),
      message,
      headers: modernHeaders(message, client),
    }
  }

  streamEnded(stream: ChangeStream): void {
    if (this.#stream === stream) this.#stream = undefined
  }

  #newId(): string {
    return `tollbridge-${++this.#lastId}`
  }

  #refuse(sink: UpstreamSink, message: string): UpstreamExchange {
    return new OwnExchange(sink).fail({ stage: 'call', message, sent: false })
  }

  /** Requests that a server without sessions has no use for are answered here. */
  #local(request: JsonRpcRequest, sink: UpstreamSink): UpstreamExchange | undefined {
    const { id, method, params } = request
    const { discover } = this.#options
    if (method === 'initialize') {
      this.#client = readClient(request, discover)
      void this.#stream?.refresh()
      return new OwnExchange(sink).answer(resultResponse(id, initializeResult(discover, this.#client)))
    }
    if (method === 'ping') return new OwnExchange(sink).answer(emptyResult(id))
    if (!this.#client)
      return new OwnExchange(sink).answer(
        errorResponse(id, { code: -32000, message: 'Server not initialized; send initialize first.' }),
      )
    if (method === 'logging/setLevel' && hasCapability(discover, 'logging'))
      return this.#setLevel(request, sink)
    const subscribes = method === 'resources/subscribe' || method === 'resources/unsubscribe'
    if (subscribes && hasCapability(discover, 'resources', 'subscribe'))
      return typeof params?.['uri'] === 'string'
        ? this.#subscribe(request, params['uri'], sink)
        : new OwnExchange(sink).answer(wrongParams(id, 'params.uri must be a string.'))
    const isUnknown =
      subscribes ||
      method === 'logging/setLevel' ||
      method === 'subscriptions/listen' ||
      !/^[\x21-\x7e]+$/.test(method)
    if (!isUnknown) return undefined
    return new OwnExchange(sink).answer(errorResponse(id, { code: -32601, message: 'Method not found' }))
  }

  #setLevel({ id, params }: JsonRpcRequest, sink: UpstreamSink): UpstreamExchange {
    const level = params?.['level']
    if (!isLogLevel(level))
      return new OwnExchange(sink).answer(wrongParams(id, 'params.level must be one of the levels of MCP.'))
    if (this.#client) this.#client = { ...this.#client, logLevel: level }
    return new OwnExchange(sink).answer(emptyResult(id))
  }

  /** Answered when the server has agreed, so that no change after the answer goes unheard. */
  #subscribe({ id, method }: JsonRpcRequest, uri: string, sink: UpstreamSink): UpstreamExchange {
    const { maxSubscriptions } = this.limits
    const known = this.#uris.has(uri)
    if (method === 'resources/unsubscribe') this.#uris.delete(uri)
    else if (known || this.#uris.size < maxSubscriptions) this.#uris.add(uri)
    else {
      const detail = `A session may be subscribed to ${maxSubscriptions} resources; unsubscribe from some.`
      return new OwnExchange(sink).answer(cannotCarry(id, detail))
    }
    const changed = known === (method === 'resources/unsubscribe')
    const exchange = new OwnExchange(sink)
    const agreed = changed ? this.#stream?.refresh() : undefined
    if (!agreed) return exchange.answer(emptyResult(id))
    void agreed.then(() => exchange.answer(emptyResult(id)))
    return exchange
  }

  #call(request: AskingRequest, sink: UpstreamSink): UpstreamExchange {
    const client = this.#client
    if (!client || this.#calls.has(request.message.id))
      return this.#refuse(sink, 'A request with this id is already waiting for its answer.')
    if (this.#calls.size >= this.limits.maxCalls)
      return this.#refuse(sink, 'Too many requests of this session wait for their answers.')
    const call = new LegacyCall(request, sink, { client, host: this })
    this.#calls.set(request.message.id, call)
    return call.start()
  }

  #notice({ message, body }: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const client = this.#client
    if (message.method === 'notifications/cancelled') {
      const requestId = message.params?.['requestId'] as RequestId
      this.#calls.get(requestId)?.cancel()
      return new OwnExchange(sink).answerBare(202)
    }
    if (!client || withoutMeaning.has(message.method ?? '')) return new OwnExchange(sink).answerBare(202)
    const modern: JsonRpcMessage = modernMessage(exactly(message, body), client)
    try {
      const headers = modernHeaders(message, client)
      return this.reach().send({ body: Buffer.from(JSON.stringify(modern)), message: modern, headers }, sink)
    } catch (cause) {
      return new OwnExchange(sink).fail(noWay(cause))
    }
  }
}

const wrongParams = (id: RequestId, message: string): string => errorResponse(id, { code: -32602, message })
