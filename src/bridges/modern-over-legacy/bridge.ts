// A legacy server as modern callers see it: their requests over one initialised conversation, none hearing another's.
import type { Clock } from '../../base/clock.ts'
import { requestRefusal, toLegacyNotification } from '../../eras/modern-client-legacy-server/calls.ts'
import { readFilter } from '../../eras/change-filter.ts'
import { isChange } from '../../eras/modern-client-legacy-server/listening.ts'
import { mayAskForInput } from '../../eras/modern-client-legacy-server/inputs.ts'
import { lowestLevel } from '../../eras/modern-client-legacy-server/logs.ts'
import type { Json } from '../../eras/json-object.ts'
import { discoverResult } from '../../eras/modern-client-legacy-server/server.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from '../../upstreams/upstream.ts'
import { isRequest, isResponse, type JsonRpcMessage, type JsonRpcRequest } from '../../wire/json-rpc.ts'
import { BridgedCall, refuseRequest, type CallHost } from './call.ts'
import { Listeners } from './listeners.ts'
import { Opener } from './opener.ts'
import { Parking, type StateSeal } from './parking.ts'
import { Round } from './round.ts'
import { openingFailure, openSession, type LegacySession, type Said } from './session.ts'
import { StandingStream } from './standing.ts'

export interface ConversationLimits {
  /** Calls that may wait for their callers' input at a time. Over HTTP each keeps one connection. */
  readonly maxParked: number
  /** How long one may wait. */
  readonly parkedMs: number
  readonly maxListeners: number
  /** Resources that one listener may name. */
  readonly maxSubscriptions: number
  /** How often in a row a lost server is tried again for those who listen to it. */
  readonly maxReopenings: number
  /** What a server asks within this time goes into one round. */
  readonly collectMs: number
  /** How often a caller is asked for the same input. */
  readonly maxAsks: number
  /** How long the server's GET stream is waited for. */
  readonly streamWaitMs: number
}

const conversationLimits: ConversationLimits = {
  maxParked: 16,
  parkedMs: 10 * 60_000,
  maxListeners: 100,
  maxSubscriptions: 1000,
  maxReopenings: 6,
  collectMs: 50,
  maxAsks: 3,
  streamWaitMs: 1000,
}

export interface ModernOverLegacyOptions {
  readonly transport: Upstream['transport']
  /** Opens a way to the server for this conversation alone; throws GatewayError where there is none now. */
  readonly open: () => Upstream
  /** For whom the conversation is opened; all its callers declare the same capabilities. */
  readonly caller: {
    readonly capabilities: Json
    readonly clientInfo: Json
    /** Whose requests come by `send`; see `seenBy`. */
    readonly principalTag: string
  }
  readonly seal: StateSeal
  readonly clock: Clock
  readonly handshakeTimeoutMs: number
  readonly limits?: Partial<ConversationLimits>
}

/** Client notifications that mean nothing to a conversation of many callers, or that the gateway sends itself. */
const ownNotifications = new Set([
  'notifications/initialized',
  // The id is a caller's, and several callers may use the same: who gives up aborts its exchange.
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
])

export class ModernOverLegacy implements Upstream, CallHost {
  readonly transport: Upstream['transport']
  readonly era = 'legacy'
  readonly multiplexed = false
  readonly parking: Parking<BridgedCall>
  readonly inputLimits: ConversationLimits
  readonly #options: ModernOverLegacyOptions
  readonly #opener: Opener
  readonly #listeners: Listeners
  readonly #rounds = new Set<Round>()
  readonly #calls = new Set<BridgedCall>()
  readonly #callsById = new Map<number, BridgedCall>()
  #standing: { readonly session: LegacySession; readonly stream: StandingStream } | undefined
  /** The newest way to the server. */
  #way: Upstream | undefined
  #lastId = 0
  #closed = false

  constructor(options: ModernOverLegacyOptions) {
    const { seal, clock } = options
    this.transport = options.transport
    this.#options = options
    this.inputLimits = { ...conversationLimits, ...options.limits }
    this.parking = new Parking({ seal, clock, ...this.inputLimits })
    this.#opener = new Opener({ clock, open: () => this.#open() })
    this.#listeners = new Listeners({
      session: () => this.session(),
      current: () => this.#opener.current,
      openStream: (session) => this.#openStream(session),
      maxAttempts: this.inputLimits.maxReopenings,
      onNobody: () => {
        if (!this.#needsStream) this.#closeStream()
      },
    })
  }

  /** Whether somebody would miss it now: a request in flight, a listener, or a call that waits for input. */
  get busy(): boolean {
    return this.#rounds.size > 0 || this.#calls.size > 0 || this.parking.size > 0
  }

  /** What is in flight: callers' requests, calls at the server, those of them that are parked, listeners, subscriptions. */
  counts(): { rounds: number; calls: number; parked: number; listeners: number; subscriptions: number } {
    return {
      rounds: this.#rounds.size,
      calls: this.#calls.size,
      parked: this.parking.size,
      listeners: this.#listeners.size,
      subscriptions: this.#listeners.subscribed,
    }
  }

  /** The same conversation for another principal: what one has parked, the other cannot continue. */
  seenBy(principalTag: string): Upstream {
    const { transport, era, multiplexed } = this
    return {
      transport,
      era,
      multiplexed,
      send: (request, sink) => this.#sendFor(principalTag, request, sink),
      listen: (headers, sink) => this.listen(headers, sink),
      endSession: () => this.endSession(),
      close: () => this.close(),
    }
  }

  send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    return this.#sendFor(this.#options.caller.principalTag, request, sink)
  }

  /** The modern era has no such stream. */
  listen(_: Readonly<Record<string, string>>, sink: UpstreamSink): UpstreamExchange {
    const round = this.#round({ jsonrpc: '2.0' }, { principalTag: '', body: new Uint8Array(), sink })
    return round.soon(() => round.finishBare(405))
  }

  /** The modern era has no sessions. */
  endSession(): Promise<number> {
    return Promise.resolve(405)
  }

  /** Ends every subscription and call, and the session with the server. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const { current } = this.#opener
    this.#listeners.closeAll(current?.server.serverInfo)
    this.parking.clear()
    for (const call of this.#calls) call.abandon()
    for (const round of this.#rounds)
      round.fail({ stage: 'call', message: 'The conversation with the server was closed.', sent: false })
    this.#closeStream()
    await this.#opener.close()
    // One that is still being initialised would otherwise be waited for.
    await this.#way?.close()
  }

  // What calls need of their conversation.

  session(): Promise<LegacySession> {
    return this.#opener.get()
  }

  prepareLog(session: LegacySession): Promise<void> {
    const level = lowestLevel([...this.#calls].map((call) => call.logLevel))
    return level === undefined ? Promise.resolve() : session.setLogLevel(level)
  }

  nextId(): number {
    return ++this.#lastId
  }

  lost(session: LegacySession): void {
    if (!this.#opener.drop(session)) return
    this.#closeStream()
    session.upstream.close().catch(() => {})
    this.#listeners.onLost()
  }

  sent(call: BridgedCall, before: number | undefined): void {
    if (before !== undefined) this.#callsById.delete(before)
    if (call.id !== undefined) this.#callsById.set(call.id, call)
  }

  /**
   * A message that names no call belongs to the only one in flight. Where there are several, nobody hears it: a log
   * message or a question must never reach the wrong caller.
   */
  shared(session: LegacySession, said: Said): void {
    const { message } = said
    if (isResponse(message)) return
    if (isRequest(message)) return this.#sharedRequest(session, said)
    if (isChange(message.method)) return this.changed(message)
    const { method, params } = message
    if (method === 'notifications/progress')
      return this.#callsById.get(Number(params?.['progressToken']))?.onNotification(said)
    if (method === 'notifications/cancelled') for (const call of this.#calls) call.onNotification(said)
    else this.#onlyCall()?.onNotification(said)
  }

  changed(notification: JsonRpcMessage): void {
    this.#listeners.hear(notification)
  }

  ended(call: BridgedCall): void {
    this.#calls.delete(call)
    if (call.id !== undefined) this.#callsById.delete(call.id)
  }

  #sendFor(principalTag: string, { message, body }: UpstreamRequest, sink: UpstreamSink): UpstreamExchange {
    const round = this.#round(message, { principalTag, body, sink })
    if (this.#closed) {
      const text = 'The conversation with the server was closed.'
      return round.soon(() => round.fail({ stage: 'connect', message: text, sent: false }))
    }
    if (!isRequest(message)) return round.soon(() => this.#notify(round))
    const asked = round as Round<JsonRpcRequest>
    const refusal = requestRefusal(message)
    if (refusal) return round.soon(() => refuse(asked, refusal.status, refusal.error))
    if (message.method === 'server/discover') return round.soon(() => void this.#discover(asked))
    if (message.method === 'subscriptions/listen') return round.soon(() => this.#listen(asked))
    const state = message.params?.['requestState']
    if (typeof state === 'string' && mayAskForInput(message.method))
      return round.soon(() => this.#continue(asked, state))
    const call = new BridgedCall(asked, this)
    this.#calls.add(call)
    void call.begin()
    return round
  }

  #round(
    message: JsonRpcMessage,
    caller: { readonly principalTag: string; readonly body: Uint8Array; readonly sink: UpstreamSink },
  ): Round {
    const round = new Round(message, { ...caller, ended: (ended) => this.#rounds.delete(ended) })
    this.#rounds.add(round)
    return round
  }

  async #discover(round: Round<JsonRpcRequest>): Promise<void> {
    try {
      const { server } = await this.session()
      const result = discoverResult(server)
      round.finish({ status: 200, message: { jsonrpc: '2.0', id: round.request.id, result } })
    } catch (error) {
      round.fail(openingFailure(error))
    }
  }

  #continue(round: Round<JsonRpcRequest>, requestState: string): void {
    const { request, principalTag } = round
    const found = this.parking.find(requestState, { request, principalTag })
    const fault = 'fault' in found ? found.fault : found.call.continueFor(round, found.key)
    if (fault !== undefined) refuse(round, 200, { code: -32602, message: fault })
  }

  #listen(round: Round<JsonRpcRequest>): void {
    const { maxListeners, maxSubscriptions } = this.inputLimits
    const filter = readFilter(round.request.params, maxSubscriptions)
    if (typeof filter === 'string') return refuse(round, 200, { code: -32602, message: filter })
    if (this.#listeners.size >= maxListeners) {
      const message = 'Too many clients listen to this server; close a stream or try again later.'
      return round.fail({ stage: 'connect', message, sent: false })
    }
    void this.#listeners.add(round, filter)
  }

  /** A notification of a client. The modern era lets no client answer anything, so that a response is refused. */
  #notify(round: Round): void {
    const { request: message } = round
    if (isResponse(message)) return round.finishBare(400)
    if (ownNotifications.has(message.method ?? '')) return round.finishBare(202)
    this.session().then(
      (session) => {
        if (round.silent) return
        session.tell(toLegacyNotification(message), { written: toLegacyNotification(round.written) })
        round.finishBare(202)
      },
      (error: unknown) => round.fail(openingFailure(error)),
    )
  }

  #sharedRequest(session: LegacySession, asked: Said): void {
    const { message, written } = asked
    if (message.method === 'ping') {
      const answer = { jsonrpc: '2.0', id: message.id ?? null, result: {} } as const
      return session.tell(answer, { written: { ...answer, id: written.id ?? null } })
    }
    const call = this.#onlyCall()
    if (call) return call.onServerRequest(session, asked)
    const why =
      this.#callsById.size === 0
        ? 'No call is in flight that the client could be asked for.'
        : 'Several calls are in flight, and the request does not say which it belongs to.'
    refuseRequest(session, asked, why)
  }

  /** The only call at the server; parked ones count. */
  #onlyCall(): BridgedCall | undefined {
    if (this.#callsById.size !== 1) return undefined
    const [call] = this.#callsById.values()
    return call
  }

  async #open(): Promise<LegacySession> {
    const { caller, clock, handshakeTimeoutMs } = this.#options
    const nextId = () => this.nextId()
    const open = () => (this.#way = this.#options.open())
    const session = await openSession({ open, client: caller, clock, handshakeTimeoutMs, nextId })
    if (session.upstream.multiplexed || this.#needsStream) await this.#openStream(session)
    return session
  }

  /** A connection carries there what names no call; over HTTP it is where many servers put their questions. */
  get #needsStream(): boolean {
    const { capabilities } = this.#options.caller
    const asks = ['elicitation', 'sampling', 'roots'].some((name) => capabilities[name] !== undefined)
    return asks || this.#standing?.session.upstream.multiplexed === true
  }

  #openStream(session: LegacySession): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false)
    if (this.#standing?.session !== session) {
      this.#closeStream()
      const stream = new StandingStream(session, {
        message: (message) => this.shared(session, message),
        reopened: () => this.#listeners.announceAll(),
        lost: () => this.lost(session),
      })
      this.#standing = { session, stream }
    }
    return this.#standing.stream.open(this.inputLimits.streamWaitMs)
  }

  #closeStream(): void {
    this.#standing?.stream.close()
    this.#standing = undefined
  }
}

function refuse(round: Round<JsonRpcRequest>, status: number, error: JsonRpcMessage['error'] & object): void {
  round.finish({ status, message: { jsonrpc: '2.0', id: round.request.id, error } })
}
