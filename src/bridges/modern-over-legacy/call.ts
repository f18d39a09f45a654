// One modern call over a legacy conversation: sent once, parked while its caller is asked for input, answered once.
import {
  progressTokenOf,
  toLegacyRequest,
  toModernAnswer,
  withProgressToken,
} from '../../eras/modern-client-legacy-server/calls.ts'
import { isChange } from '../../eras/modern-client-legacy-server/listening.ts'
import { isLogFor, logLevelOf, type LogLevel } from '../../eras/modern-client-legacy-server/logs.ts'
import type { Json } from '../../eras/json-object.ts'
import { declaredCapabilities, metaOf } from '../../eras/modern-client-legacy-server/server.ts'
import type { UpstreamExchange, UpstreamFailure, UpstreamHead } from '../../upstreams/upstream.ts'
import type { UpstreamMessage, UpstreamSink } from '../../upstreams/upstream.ts'
import { isRequest, isResponse, type JsonRpcMessage, type JsonRpcRequest } from '../../wire/json-rpc.ts'
import { Inputs } from './inputs.ts'
import type { Parkable, Parking } from './parking.ts'
import { Resumption } from './resumption.ts'
import type { Round, RoundOwner } from './round.ts'
import { messagesIn, openingFailure, type LegacySession, type Said } from './session.ts'
import { Unheard } from './unheard.ts'

/** What a call needs of its conversation. */
export interface CallHost {
  readonly parking: Parking<BridgedCall>
  readonly inputLimits: { readonly collectMs: number; readonly maxAsks: number }
  session(): Promise<LegacySession>
  /** Sets the log level that the calls in flight want. */
  prepareLog(session: LegacySession): Promise<void>
  nextId(): number
  /** The server has no such session any more, or the connection is gone. */
  lost(session: LegacySession): void
  /** The call goes by its id from now on; `before` is the one that it had in a session that was lost. */
  sent(call: BridgedCall, before: number | undefined): void
  /** A message that came on the connection which all calls share. */
  shared(session: LegacySession, said: Said): void
  changed(notification: JsonRpcMessage): void
  ended(call: BridgedCall): void
}

/** How long a server may keep the stream of an answer open after the answer. */
const lingerMs = 1000

export class BridgedCall implements UpstreamSink, RoundOwner, Parkable {
  readonly request: JsonRpcRequest
  readonly principalTag: string
  readonly capabilities: Json
  /** Its id at the server; undefined before it was sent. */
  id: number | undefined
  readonly #host: CallHost
  /** Its request, for writing it. */
  readonly #written: JsonRpcRequest
  readonly #inputs: Inputs
  readonly #resumption: Resumption
  readonly #unheard = new Unheard()
  /** The caller's request that is being answered; undefined while the call is parked. */
  #round: Round<JsonRpcRequest> | undefined
  #session: LegacySession | undefined
  #exchange: UpstreamExchange | undefined
  #head: UpstreamHead | undefined
  /** How it ended while nobody was there to hear it. */
  #kept: ((round: Round<JsonRpcRequest>) => void) | undefined
  #retried = false
  #answered = false
  #linger: NodeJS.Timeout | undefined

  constructor(round: Round<JsonRpcRequest>, host: CallHost) {
    this.request = round.request
    this.#written = round.written
    this.principalTag = round.principalTag
    this.capabilities = declaredCapabilities(round.request)
    this.#host = host
    this.#inputs = new Inputs(this, {
      ...host.inputLimits,
      ask: () => this.#askCaller(),
      onRefused: () => this.#onAnswerRefused(),
    })
    this.#resumption = new Resumption((lastEventId) => this.#listenAgain(lastEventId))
    this.#attach(round)
  }

  /** The level of the log messages that its caller wants to hear now. */
  get logLevel(): LogLevel | undefined {
    return this.#round && logLevelOf(this.#round.request)
  }

  get round(): Round<JsonRpcRequest> | undefined {
    return this.#round
  }

  /** Sends it as soon as there is a session. */
  async begin(): Promise<void> {
    try {
      const session = await this.#host.session()
      if (this.#answered) return
      await this.#host.prepareLog(session)
      if (!this.#answered) this.#send(session)
    } catch (error) {
      if (!this.#answered) this.#fail(openingFailure(error))
    }
  }

  /** Continues a parked call for a retry that was checked; answers with a sentence where its responses are not valid. */
  continueFor(round: Round<JsonRpcRequest>, key: string): string | undefined {
    const responses = round.request.params?.['inputResponses'] as Json | undefined
    const written = round.written.params?.['inputResponses'] as Json | undefined
    const fault = this.#inputs.faultOf(responses ?? {})
    if (fault !== undefined) return fault
    this.#host.parking.take(key)
    this.#attach(round)
    round.soon(() => {
      for (const said of this.#unheard.take()) this.onNotification(said)
      if (this.#kept) {
        this.#kept(round)
        this.#end()
        return
      }
      this.#exchange?.resume()
      this.#inputs.answer(written ?? {})
    })
    return undefined
  }

  // What comes from the server on this call's own exchange.

  head(head: UpstreamHead): void {
    this.#head = head
    const { status } = head
    if (status === 401 || status === 403) {
      const message = `The server answered ${status} to the gateway's own request.`
      this.#breakOff({ stage: 'handshake', message, sent: true })
    }
  }

  message(received: UpstreamMessage): void {
    if (received.frame) this.#resumption.note(received.frame)
    const all = messagesIn(received)
    for (const said of all) this.#receive(said)
    // An event without a message is a sign of life; a body without one is no answer.
    if (all.length === 0 && !received.frame) this.#onNoMessage()
  }

  #receive(said: Said): void {
    const session = this.#session
    if (this.#answered || !session) return
    if (isResponse(said.message)) this.#onAnswer(session, said)
    else if (session.upstream.multiplexed) this.#host.shared(session, said)
    else if (isRequest(said.message)) this.onServerRequest(session, said)
    else this.onNotification(said)
  }

  end(): void {
    clearTimeout(this.#linger)
    if (this.#answered) return
    if (this.#resumption.resume()) return
    if (this.#isLost(undefined)) return this.#onLost()
    const status = this.#head?.status ?? 0
    const message =
      status >= 400
        ? `The server answered with HTTP ${status}.`
        : 'The server ended its answer without a result.'
    this.#fail({ stage: 'call', message, sent: true })
  }

  fail(failure: UpstreamFailure): void {
    clearTimeout(this.#linger)
    if (failure.gone && this.#session) this.#host.lost(this.#session)
    if (this.#answered) return
    if (failure.gone && !failure.sent && !this.#retried) return this.#onLost()
    if (failure.sent && !failure.gone && !failure.tooLarge && this.#resumption.resume()) return
    this.#fail(failure)
  }

  // What belongs to this call, wherever it came.

  /** A request of the server during this call. */
  onServerRequest(session: LegacySession, asked: Said): void {
    if (this.#answered || session !== this.#session)
      return refuseRequest(session, asked, 'The call has ended.')
    this.#inputs.add(session, asked)
  }

  /** A notification of the server during this call. */
  onNotification(said: Said): void {
    const { method, params } = said.message
    if (isChange(method)) return this.#host.changed(said.message)
    if (method === 'notifications/cancelled') return this.#inputs.withdraw(params?.['requestId'])
    // Gone from the modern era: the client learns the outcome by its retry.
    if (method === 'notifications/elicitation/complete') return
    if (this.#round) this.#tell(this.#round, said)
    else this.#unheard.keep(said)
  }

  #tell(round: Round<JsonRpcRequest>, { message: notification, written }: Said): void {
    switch (notification.method) {
      case 'notifications/message':
        if (isLogFor(notification, this.logLevel)) round.deliver(notification, written)
        return
      case 'notifications/progress': {
        const token = progressTokenOf(round.request)
        if (token === undefined || notification.params?.['progressToken'] !== this.id) return
        const writtenToken = metaOf(round.written)['progressToken']
        round.deliver(withProgressToken(notification, token), withProgressToken(written, writtenToken))
        return
      }
      default:
        round.deliver(notification, written)
    }
  }

  // What comes from the caller.

  onAbort(): void {
    this.#cancel('The client has given up on the request.')
  }

  setPaused(paused: boolean): void {
    if (paused) this.#exchange?.pause()
    else this.#exchange?.resume()
  }

  /** Nobody came back with the input. */
  expire(): void {
    this.#cancel('The client has not answered in time.')
  }

  /** The conversation ends. */
  abandon(): void {
    const sent = this.#exchange !== undefined
    const round = this.#round
    this.#cancel('The conversation has ended.')
    round?.fail({ stage: 'call', message: 'The conversation with the server was closed.', sent })
  }

  #attach(round: Round<JsonRpcRequest>): void {
    this.#round = round
    round.owner = this
  }

  #send(session: LegacySession): void {
    this.#session = session
    this.#head = undefined
    const before = this.id
    this.id = this.#host.nextId()
    this.#host.sent(this, before)
    const written = toLegacyRequest(this.#written, this.id)
    this.#exchange = session.send(toLegacyRequest(this.request, this.id), this, written)
    if (this.#round?.paused) this.#exchange.pause()
  }

  /** The server would wait for ever, and so would the caller. */
  #onAnswerRefused(): void {
    if (this.#answered) return
    const message = 'The server did not take the answer to its question.'
    this.#breakOff({ stage: 'call', message, sent: true })
  }

  #onNoMessage(): void {
    if (this.#answered) return
    if (this.#isLost(undefined)) return this.#onLost()
    const message = `The server answered with something that is no JSON-RPC message (HTTP ${this.#head?.status ?? 0}).`
    this.#breakOff({ stage: 'call', message, sent: true })
  }

  #onAnswer(session: LegacySession, { message: answer, written }: Said): void {
    if (this.#isLost(answer)) return this.#onLost()
    // An error may come without an id where the server could not read it (JSON-RPC 2.0, section 5).
    const isOurs = answer.id === this.id || (answer.error !== undefined && (answer.id ?? null) === null)
    // An answer to something else on the stream of a resumed call is not for us.
    if (!isOurs && this.#resumption.resumed) return
    if (!isOurs)
      return this.#breakOff({
        stage: 'call',
        message: 'The server answered with an id that was not asked.',
        sent: true,
      })
    const context = {
      serverInfo: session.server.serverInfo,
      capabilities: this.capabilities,
      missing: this.#inputs.missing,
    }
    this.#conclude((round) => {
      const own = { ...context, request: round.request }
      const modern = toModernAnswer(answer, own)
      if (written === answer) return round.finish(modern)
      const error = written.error && answer.error && { ...written.error, code: answer.error.code }
      const exact = toModernAnswer({ ...written, ...(error && { error }) }, own).message
      round.finish({ ...modern, written: exact })
    })
    this.#letGo()
  }

  /** The server's session is not there, so that the call did not run: it is sent once more in a new one. */
  #onLost(): void {
    const session = this.#session
    this.#exchange?.abort()
    if (session) this.#host.lost(session)
    if (this.#retried)
      return this.#fail({ stage: 'handshake', message: 'The server lost its session twice.', sent: false })
    this.#retried = true
    this.#exchange = undefined
    void this.begin()
  }

  /** A 404 where the session was named (MCP 2025-11-25, "Session Management"), or how servers without sessions of that name put it. */
  #isLost(answer: JsonRpcMessage | undefined): boolean {
    if (!this.#session?.named || this.#resumption.resumed) return false
    const error = answer?.error
    if (this.#head?.status === 404) return error?.code !== -32601
    return this.#head?.status === 400 && error?.code === -32000 && /session|initializ/i.test(error.message)
  }

  /** Ends the caller's round by asking for input. While the call is parked, what more is asked waits for its return. */
  #askCaller(): 'asked' | 'nobody' | 'no-room' {
    const round = this.#round
    if (!round) return 'nobody'
    const state = this.#host.parking.park(this)
    if (state === undefined) return 'no-room'
    this.#round = undefined
    if (round.paused) this.#exchange?.resume()
    const result = this.#inputs.asResult(state)
    const answer: JsonRpcMessage = { jsonrpc: '2.0', id: round.request.id, result }
    const { serverInfo } = this.#session?.server ?? {}
    const context = {
      request: round.request,
      serverInfo,
      capabilities: this.capabilities,
      missing: undefined,
    }
    round.finish(toModernAnswer(answer, context))
    return 'asked'
  }

  #listenAgain(lastEventId: string): void {
    const session = this.#session
    if (this.#answered || !session) return
    this.#head = undefined
    this.#exchange = session.upstream.listen({ ...session.headers, 'last-event-id': lastEventId }, this)
    if (this.#round?.paused) this.#exchange.pause()
  }

  #breakOff(failure: UpstreamFailure): void {
    this.#exchange?.abort()
    this.#fail(failure)
  }

  #fail(failure: UpstreamFailure): void {
    this.#conclude((round) => round.fail(failure))
  }

  /** The call is over; where it is parked, its end waits for the caller's return. */
  #conclude(tell: (round: Round<JsonRpcRequest>) => void): void {
    this.#answered = true
    this.#resumption.stop()
    this.#inputs.refuseAll('The call has ended.')
    const round = this.#round
    if (!round) {
      this.#kept = tell
      this.#host.ended(this)
      return
    }
    tell(round)
    this.#end()
  }

  #cancel(reason: string): void {
    const wasWaiting = !this.#answered
    this.#answered = true
    this.#kept = undefined
    if (wasWaiting && this.#exchange) {
      const params = { requestId: this.id, reason }
      this.#session?.tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params })
      this.#inputs.refuseAll(reason)
    }
    this.#exchange?.abort()
    this.#end()
  }

  /** Some servers keep the stream of an answer open; closing it at once would cost the connection. */
  #letGo(): void {
    const exchange = this.#exchange
    if (this.#resumption.resumed) return exchange?.abort()
    if (this.#head?.contentType === 'event-stream' && !this.#session?.upstream.multiplexed)
      this.#linger = setTimeout(() => exchange?.abort(), lingerMs).unref()
  }

  #end(): void {
    this.#round = undefined
    this.#resumption.stop()
    this.#inputs.clear()
    this.#host.ended(this)
  }
}

/** Refuses a request of the server that nobody can be asked. */
export function refuseRequest(session: LegacySession, asked: Said, text: string): void {
  const answer = (id: JsonRpcMessage['id'] = null) =>
    ({ jsonrpc: '2.0', id, error: { code: -32600, message: text } }) as const
  session.tell(answer(asked.message.id), { written: answer(asked.written.id) })
}
