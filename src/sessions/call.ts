// One call in flight: from the dispatch of its bytes to the durable record and the answer, whatever happens in between.
import { GatewayError } from '../base/errors.ts'
import type { ListNode } from '../base/linked-list.ts'
import { formatAmount } from '../base/money.ts'
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamSink,
} from '../upstreams/upstream.ts'
import { isRequest, isResponse, type JsonRpcMessage } from '../wire/json-rpc.ts'
import { answerEnd, hasEventId, isInterim, statusAnswer, underId } from './answer.ts'
import type { CallInput } from './call-input.ts'
import type { CallEnd, SettledListener } from './charge.ts'
import type { Deadline, Deadlines, Expiring } from './deadlines.ts'
import { failureError, refusalAnswer } from './refusal.ts'
import type { Deliver, SessionCall } from './session.ts'
import type { KeptAnswer } from './kept-store.ts'
import type { TaskOwner } from './tasks/store.ts'

/** What a call asks of the relay that runs it. */
export interface CallHost {
  readonly deadlines: Deadlines
  /** Sends (or sends again) the call's bytes to the server as it stands now. */
  dispatch(call: Call): UpstreamExchange
  /** Opens the server's session again; false where that is not possible. Resolves when the call may be sent again. */
  recover(call: Call): Promise<boolean>
  /** Tells a legacy server that nobody waits for this request any more. */
  cancelUpstream(call: Call, reason: string): void
  /** Whose the task is that an answer says was started. */
  taskStarted(call: Call, answer: JsonRpcMessage): TaskOwner | undefined
  reportFailure(call: Call, failure: UpstreamFailure): void
  /** The server has answered; `isResult`: not with an error. */
  reportAnswer(call: Call, isResult: boolean): void
  finished(call: Call): void
}

/** How the gateway itself ends a call: the error for the caller, and what the record says. */
interface Cut {
  readonly error: GatewayError
  readonly outcome: CallEnd['outcome']
  readonly free: boolean
}

interface Answered {
  readonly status: number
  readonly bytes: Uint8Array
  readonly parsed: JsonRpcMessage
}

/** What becomes durable with the record. */
interface Lasting {
  readonly kept?: KeptAnswer | undefined
  readonly started?: TaskOwner | undefined
}

/** How long a call may wait after its server has asked the client for something; as the official SDK's own bridge. */
const inputMs = 600_000
/** How long a server may keep the stream of an answer open after the answer. */
const lingerMs = 1000

/** Answers exactly once; the final answer leaves after its record is durable. */
export class Call implements UpstreamSink, Expiring, SessionCall {
  deadlineMs = Infinity
  #deadline: Deadline | undefined
  #inSession: ListNode<SessionCall> | undefined
  /** Its place among the calls of the relay. */
  inFlight: ListNode<Call> | undefined
  readonly input: CallInput
  readonly #host: CallHost
  #exchange: UpstreamExchange | undefined
  #head: UpstreamHead | undefined
  #responseBytes = 0
  #recovered = false
  #resumable = false
  #ended = false
  /** Why the server's own result is not the answer. */
  #withheldFor: GatewayError | undefined
  readonly #waiting: Deliver[] = []
  /** The answer that came on another stream, with what is added to it. */
  #late: Uint8Array | undefined

  constructor(input: CallInput, host: CallHost) {
    this.input = input
    this.#host = host
  }

  /** Sends the call. From here on it answers its reply exactly once. */
  start(): void {
    const { timeoutMs, session, charge, reply } = this.input
    this.#inSession = session?.addCall(this)
    if (timeoutMs !== undefined) this.#expireAt(performance.now() + timeoutMs)
    charge.keepCovered(
      () => this.#responseBytes,
      (refusal) => this.#cutShort(refusal),
    )
    reply.onGone(() => this.#clientGone())
    this.#exchange = this.#host.dispatch(this)
  }

  #came(bytes: number): void {
    this.#responseBytes += bytes
    this.input.admission?.spend(bytes)
  }

  head(head: UpstreamHead): void {
    this.#head = head
    if (head.status === 404 && this.#canRecover()) return this.#recover()
    if (head.status === 401 || head.status === 403 || (head.status >= 300 && head.status < 400)) {
      const message = `the server answered ${head.status} to the gateway's own request`
      return this.fail({ stage: 'handshake', message, sent: true })
    }
    const { session, request, reply, charge } = this.input
    if (session && request.method === 'initialize') session.upstreamSessionId = head.sessionId
    if (head.contentType === 'event-stream') reply.stream({ callId: charge.callId, ...this.#sessionToken() })
  }

  message(message: UpstreamMessage): void {
    if (this.#ended) return
    const parsed = message.message
    if (!parsed) return this.#bare(message)
    if (isResponse(parsed)) {
      if (parsed.id === this.input.request.id) return this.#final(message, parsed)
      // An error may come without an id where the server could not read it (JSON-RPC 2.0, section 5).
      const blank = (parsed.id ?? null) === null && parsed.error !== undefined
      if (blank && this.#head?.contentType === 'json')
        return this.#final(this.#underOwnId(message, parsed), parsed)
      return this.fail({
        stage: 'call',
        message: 'the server answered with an id that was not asked',
        sent: true,
      })
    }
    this.#pass(message)
  }

  end(): void {
    if (this.#ended) return this.#noDeadline()
    if (this.#resumable && this.input.session) {
      // The server ended the stream on purpose; the answer comes on the stream that the client opens next.
      return this.input.reply.end()
    }
    const status = this.#head?.status ?? 0
    if (status >= 400 && status < 500) return this.#statusAlone(status)
    this.fail({ stage: 'call', message: 'the server ended its answer without a result', sent: true })
  }

  fail(failure: UpstreamFailure): void {
    if (this.#ended) return this.#noDeadline()
    if (failure.gone && !failure.sent && this.#canRecover()) return this.#recover()
    this.#host.reportFailure(this, failure)
    const error = failureError(failure)
    this.#cut({
      error,
      outcome: failure.sent && !failure.tooLarge ? 'unknown' : 'error',
      free: !failure.sent,
    })
  }

  /** A final answer for this call that came on another stream of its session. */
  resume(message: UpstreamMessage, parsed: JsonRpcMessage, deliver: Deliver): void {
    this.#waiting.push(deliver)
    if (this.#ended) return
    this.#came(message.bytes.length)
    const refusal = this.input.charge.cover(this.#responseBytes)
    if (refusal) return this.#cutShort(refusal)
    this.#exchange?.abort()
    const said = answerEnd(parsed, this.input.charge)
    const end = { ...said, statusCode: 200, responseBytes: this.#responseBytes }
    const ended: SettledListener = (error, settled) => {
      if (error) return this.#refuse(error)
      this.#late = this.input.present?.(parsed, message.bytes, settled)
      this.input.reply.end()
    }
    this.#settleAnswer(end, ended, { status: 200, bytes: message.bytes, parsed })
  }

  /** The client has cancelled: the server is told by the client's own notification. */
  cancel(): void {
    if (this.#ended) return
    this.#exchange?.abort()
    this.#withheldFor = new GatewayError('invalid_request', { detail: 'The request was cancelled.' })
    this.#settle(this.#endAs(this.#stands ? 'success' : 'cancelled'), () => this.input.reply.end())
  }

  /** Gives up on the server and answers with `error`; the call may have run. */
  abandon(error: GatewayError): void {
    if (this.#ended) return
    this.#giveUp(error.message)
    this.#cut({ error, outcome: this.#stands ? 'success' : 'unknown', free: false })
  }

  /** No answer within the time limit, or a stream that stays open after it; called by the deadlines. */
  expire(): void {
    if (this.#ended) {
      this.#noDeadline()
      return this.#exchange?.abort()
    }
    this.#giveUp('timeout')
    this.#host.reportFailure(this, {
      stage: 'call',
      message: `no answer in ${this.input.timeoutMs} ms`,
      sent: true,
    })
    this.#cut({ error: new GatewayError('upstream_timeout'), outcome: 'timeout', free: false })
  }

  #clientGone(): void {
    if (this.#ended || this.input.era === 'legacy') return
    // Modern era: closing the connection is the cancellation (MCP 2026-07-28, "Cancellation"). Legacy: it is not.
    this.#exchange?.abort()
    this.#settle(this.#endAs(this.#stands ? 'success' : 'cancelled'), () => {})
  }

  /** A stream for as long as somebody wants it: whoever ends it, what it brought until then was delivered. */
  get #stands(): boolean {
    return this.input.timeoutMs === undefined && this.#head?.status === 200
  }

  /** An event without a message (priming, keep-alive), or a body that is no JSON-RPC at all. */
  #bare(message: UpstreamMessage): void {
    if (message.frame) {
      this.#resumable ||= this.input.era === 'legacy' && hasEventId(message.frame)
      this.#forward(message)
      return
    }
    const status = this.#head?.status ?? 502
    if (status >= 400 && status < 500) return this.#statusAlone(status)
    this.fail({
      stage: 'call',
      message: 'the server answered with something that is no JSON-RPC message',
      sent: true,
    })
  }

  /** Clients find out the era from a 4xx that is no modern error, so the status stays (MCP, "Backward Compatibility"). */
  #statusAlone(status: number): void {
    const answer = statusAnswer(status, this.input.request.id)
    this.#final({ message: undefined, bytes: Buffer.from(JSON.stringify(answer)) }, answer)
  }

  /** A 4xx stays as it is, since eras are told by it. */
  #underOwnId(message: UpstreamMessage, parsed: JsonRpcMessage): UpstreamMessage {
    return (this.#head?.status ?? 200) >= 400 ? message : underId(this.input.request.id, message, parsed)
  }

  #pass(message: UpstreamMessage): void {
    this.#came(message.bytes.length)
    if (message.frame) this.#resumable ||= this.input.era === 'legacy' && hasEventId(message.frame)
    const refusal = this.input.charge.cover(this.#responseBytes)
    if (refusal) return this.#cutShort(refusal)
    // The client is asked for something, and people take their time.
    if (message.message && isRequest(message.message))
      this.deadlineMs = Math.max(this.deadlineMs, performance.now() + inputMs)
    this.#forward(message)
  }

  #forward(message: UpstreamMessage): void {
    const { reply, charge } = this.input
    reply.stream({ callId: charge.callId, ...this.#sessionToken() })
    if (reply.message(message)) return
    this.#exchange?.pause()
    reply.onDrain(() => this.#exchange?.resume())
  }

  #final(message: UpstreamMessage, parsed: JsonRpcMessage): void {
    this.#came(message.bytes.length)
    const { charge, request, session } = this.input
    const refusal = charge.cover(this.#responseBytes)
    if (refusal) return this.#cutShort(refusal)
    const status = this.#head?.status ?? 200
    this.#host.reportAnswer(this, !parsed.error)
    const said = answerEnd(parsed, this.input.charge)
    const end = { ...said, statusCode: status, responseBytes: this.#responseBytes }
    const answer: SettledListener = (error, settled) => {
      if (error) return this.#refuse(error)
      if (session?.open && request.method === 'initialize') session.initialized(parsed)
      const reported = this.input.present?.(parsed, message.bytes, settled)
      this.input.reply.final({
        status,
        bytes: reported ?? message.bytes,
        callId: charge.callId,
        cost: formatAmount(settled.record.cost),
        ...(!reported && message.frame && { frame: message.frame }),
        ...this.#sessionToken(),
      })
    }
    this.#settleAnswer(end, answer, { status, bytes: message.bytes, parsed })
    if (this.#head?.contentType !== 'event-stream') return
    this.#expireAt(performance.now() + lingerMs)
  }

  #expireAt(deadlineMs: number): void {
    this.deadlineMs = deadlineMs
    this.#deadline = this.#host.deadlines.add(this)
  }

  #noDeadline(): void {
    if (this.#deadline) this.#host.deadlines.delete(this.#deadline)
    this.#deadline = undefined
  }

  #cutShort(error: GatewayError): void {
    this.#giveUp(error.message)
    this.#cut({ error, outcome: this.#stands ? 'success' : 'denied', free: false })
  }

  #giveUp(reason: string): void {
    // An initialize must not be cancelled (MCP 2025-11-25, "Cancellation").
    const { era, request } = this.input
    if (era === 'legacy' && request.method !== 'initialize') this.#host.cancelUpstream(this, reason)
  }

  #cut({ error, outcome, free }: Cut): void {
    this.#exchange?.abort()
    this.#withheldFor = error
    const refusal = refusalAnswer(this.input.request, error, this.input.era)
    const statusCode = this.#stands ? 200 : refusal.status
    const end = { ...this.#endAs(outcome), free, statusCode, error: error.code }
    // What was never sent may be tried again under the same key; what may have run is answered the same way again.
    const kept = free ? undefined : this.#keep(refusal.status, Buffer.from(refusal.text))
    this.#settle(end, (failure) => this.#refuse(failure ?? error), { kept })
  }

  /** Sends a refusal as this call's answer; its record is durable, or could not be made. */
  #refuse(error: GatewayError): void {
    const { request, era, reply, charge } = this.input
    const { status, text } = refusalAnswer(request, error, era)
    const retry = error.retryAfterS === undefined ? {} : { retryAfterS: error.retryAfterS }
    reply.final({ status, bytes: Buffer.from(text), callId: charge.callId, cost: '0', ...retry })
  }

  #endAs(outcome: CallEnd['outcome']): CallEnd {
    return { outcome, statusCode: this.#head?.status ?? 0, responseBytes: this.#responseBytes, free: false }
  }

  #settleAnswer(end: CallEnd, done: SettledListener, { status, bytes, parsed }: Answered): void {
    const started = this.#host.taskStarted(this, parsed)
    this.#settle(end, done, { kept: this.#keep(status, bytes, parsed), started })
  }

  #settle(end: CallEnd, done: SettledListener, { kept, started }: Lasting = {}): void {
    this.#ended = true
    this.#noDeadline()
    const { session, request, era, claim, charge } = this.input
    const settled: SettledListener = (error, result) => {
      const why = error ?? this.#withheldFor
      if (this.#inSession) session?.removeCall(this.#inSession)
      if (why) session?.withhold(request.id)
      claim?.finish(error ? undefined : kept)
      done(error, result)
      const instead = why && Buffer.from(refusalAnswer(request, why, era).text)
      for (const deliver of this.#waiting.splice(0)) deliver(instead ?? this.#late)
      this.#host.finished(this)
    }
    charge.settle(end, settled, [...(kept ? [kept] : []), ...(started ? [started] : [])])
  }

  /** A round that asks for input is not kept: the next one comes with the same key and other parameters. */
  #keep(status: number, bytes: Uint8Array, answer?: JsonRpcMessage): KeptAnswer | undefined {
    if (answer && isInterim(answer)) return undefined
    return this.input.claim?.keep({ record: this.input.charge.id, status, bytes })
  }

  #canRecover(): boolean {
    const { session, request } = this.input
    const known = session?.upstreamSessionId !== undefined || session?.upstream?.multiplexed === true
    return known && !this.#recovered && request.method !== 'initialize'
  }

  #recover(): void {
    this.#recovered = true
    this.#exchange?.abort()
    void this.#host.recover(this).then((again) => {
      if (this.#ended) return
      this.#head = undefined
      if (again) this.#exchange = this.#host.dispatch(this)
      else this.#lost()
    })
  }

  /** A child may come back, a lost session does not: the client has to initialize again (MCP, "Session Management"). */
  #lost(): void {
    const message = 'the server lost its session and could not open it again'
    if (this.input.session?.upstream) return this.fail({ stage: 'process', message, sent: false })
    this.#host.reportFailure(this, { stage: 'handshake', message, sent: false })
    this.#cut({ error: new GatewayError('session_not_found'), outcome: 'error', free: true })
  }

  #sessionToken(): { sessionToken?: string } {
    const { session, request } = this.input
    return session && request.method === 'initialize' ? { sessionToken: session.token } : {}
  }
}
