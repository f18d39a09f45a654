// One call in flight: from the dispatch of its bytes to the durable record and the answer, whatever happens in between.
import { GatewayError } from '../base/errors.ts'
import { formatCallId } from '../base/id.ts'
import { formatAmount } from '../base/money.ts'
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamSink,
} from '../upstreams/upstream.ts'
import { isResponse, type JsonRpcMessage, type JsonRpcRequest } from '../wire/json-rpc.ts'
import { answerOutcome } from '../wire/outcome.ts'
import type { Era } from '../wire/protocol-version.ts'
import type { CallEnd, Charge, Settled, SettledListener } from './charge.ts'
import { refusalAnswer } from './refusal.ts'
import type { Claim } from './replays.ts'
import type { Reply } from './reply.ts'
import type { Session } from './session.ts'
import type { KeptAnswer } from './store.ts'

/** What a call asks of the relay that runs it. */
export interface CallHost {
  /** Sends (or sends again) the call's bytes to the server as it stands now. */
  dispatch(call: Call): UpstreamExchange
  /** Opens the server's session again; false where that is not possible. Resolves when the call may be sent again. */
  recover(call: Call): Promise<boolean>
  /** Tells a legacy server that nobody waits for this request any more. */
  cancelUpstream(call: Call, reason: string): void
  reportFailure(call: Call, failure: UpstreamFailure): void
  reportSuccess(call: Call): void
  finished(call: Call): void
}

export interface CallInput {
  readonly principal: Principal
  readonly request: JsonRpcRequest
  readonly body: Uint8Array
  readonly era: Era
  readonly server: Server
  readonly session?: Session
  readonly charge: Charge
  readonly reply: Reply
  /** MCP headers to send upstream, without the session id. */
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds until the answer is given up; undefined for streams that may stay open. */
  readonly timeoutMs: number | undefined
  /** Whether the answer carries its cost in `_meta`. */
  readonly report: boolean
  /** The idempotency key that this call runs for, where it came with one. */
  readonly claim?: Claim
}

/** How the gateway itself ends a call: the error for the caller, and what the record says. */
interface Cut {
  readonly error: GatewayError
  readonly outcome: CallEnd['outcome']
  readonly free: boolean
}

/** Answers exactly once; the final answer leaves after its record is durable. */
export class Call implements UpstreamSink {
  readonly input: CallInput
  readonly #host: CallHost
  #exchange: UpstreamExchange | undefined
  #timer: NodeJS.Timeout | undefined
  #head: UpstreamHead | undefined
  #responseBytes = 0
  #recovered = false
  #resumable = false
  #ended = false
  #durable = false
  /** Whoever has the same answer from another stream and waits for its record. */
  readonly #waiting: ((error?: GatewayError) => void)[] = []

  constructor(input: CallInput, host: CallHost) {
    this.input = input
    this.#host = host
  }

  /** Sends the call. From here on it answers its reply exactly once. */
  start(): void {
    const { timeoutMs, session, request, charge, reply } = this.input
    session?.addCall(request.id, this)
    if (timeoutMs !== undefined) this.#timer = setTimeout(() => this.#timeOut(), timeoutMs)
    charge.keepCovered(
      () => this.#responseBytes,
      (refusal) => this.#cutShort(refusal),
    )
    reply.onGone(() => this.#clientGone())
    this.#exchange = this.#host.dispatch(this)
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
      const own =
        parsed.id === this.input.request.id || (parsed.id === null && this.#head?.contentType === 'json')
      if (own) return this.#final(message, parsed)
      return this.fail({
        stage: 'call',
        message: 'the server answered with an id that was not asked',
        sent: true,
      })
    }
    this.#pass(message)
  }

  end(): void {
    if (this.#ended) return
    if (this.#resumable && this.input.session) {
      // The server ended the stream on purpose; the answer comes on the stream that the client opens next.
      return this.input.reply.end()
    }
    this.fail({ stage: 'call', message: 'the server ended its answer without a result', sent: true })
  }

  fail(failure: UpstreamFailure): void {
    if (this.#ended) return
    if (failure.stage === 'process' && !failure.sent && this.#canRecover()) return this.#recover()
    this.#host.reportFailure(this, failure)
    const detail = failure.tooLarge
      ? 'The answer of the MCP server is larger than this gateway accepts; ask for less.'
      : undefined
    const error = new GatewayError('upstream_unavailable', { cause: failure, ...(detail && { detail }) })
    this.#cut({
      error,
      outcome: failure.sent && !failure.tooLarge ? 'unknown' : 'error',
      free: !failure.sent,
    })
  }

  /** A final answer for this call that came on another stream of its session; `deliver` hears when it is durable, or why not. */
  resume(message: UpstreamMessage, parsed: JsonRpcMessage, deliver: (error?: GatewayError) => void): void {
    if (this.#durable) return deliver()
    if (this.#ended) return void this.#waiting.push(deliver)
    this.#responseBytes += message.bytes.length
    const end = { ...answerEnd(parsed), statusCode: 200, responseBytes: this.#responseBytes }
    this.#settle(end, deliver, this.#keep(200, message.bytes))
  }

  /** The client has cancelled: the server is told by the client's own notification. */
  cancel(): void {
    if (this.#ended) return
    this.#exchange?.abort()
    this.#settle(this.#endAs('cancelled'), () => this.input.reply.end())
  }

  /** Gives up on the server and answers with `error`; the call may have run. */
  abandon(error: GatewayError): void {
    if (this.#ended) return
    this.#giveUp(error.message)
    this.#cut({ error, outcome: 'unknown', free: false })
  }

  #timeOut(): void {
    if (this.#ended) return
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
    this.#settle(this.#endAs('cancelled'), () => {})
  }

  /** An event without a message (priming, keep-alive), or a body that is no JSON-RPC at all. */
  #bare(message: UpstreamMessage): void {
    if (message.frame) {
      this.#resumable ||= this.input.era === 'legacy' && hasEventId(message.frame)
      this.#forward(message)
      return
    }
    const status = this.#head?.status ?? 502
    if (status >= 400 && status < 500) {
      // Clients find out the era from a 4xx that is no modern error, so the status stays (MCP, "Backward Compatibility").
      const error = { code: -32000, message: `The MCP server answered ${status}` }
      const bytes = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: this.input.request.id, error }))
      return this.#final({ message: undefined, bytes }, { jsonrpc: '2.0', id: this.input.request.id, error })
    }
    this.fail({
      stage: 'call',
      message: 'the server answered with something that is no JSON-RPC message',
      sent: true,
    })
  }

  #pass(message: UpstreamMessage): void {
    this.#responseBytes += message.bytes.length
    if (message.frame) this.#resumable ||= this.input.era === 'legacy' && hasEventId(message.frame)
    const refusal = this.input.charge.cover(this.#responseBytes)
    if (refusal) return this.#cutShort(refusal)
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
    this.#responseBytes += message.bytes.length
    const { charge, request, session } = this.input
    const refusal = charge.cover(this.#responseBytes)
    if (refusal) return this.#cutShort(refusal)
    if (session && request.method === 'initialize') readProtocolVersion(session, parsed)
    const status = this.#head?.status ?? 200
    if (!parsed.error) this.#host.reportSuccess(this)
    const end = { ...answerEnd(parsed), statusCode: status, responseBytes: this.#responseBytes }
    const answer: SettledListener = (error, settled) => {
      if (error) return this.#refuse(error)
      const reported = this.input.report ? withCost(parsed, settled) : undefined
      this.input.reply.final({
        status,
        bytes: reported ?? message.bytes,
        callId: charge.callId,
        cost: formatAmount(settled.record.cost),
        ...(!reported && message.frame && { frame: message.frame }),
        ...this.#sessionToken(),
      })
    }
    this.#settle(end, answer, this.#keep(status, message.bytes))
  }

  #cutShort(error: GatewayError): void {
    this.#giveUp(error.message)
    this.#cut({ error, outcome: 'denied', free: false })
  }

  #giveUp(reason: string): void {
    if (this.input.era === 'legacy') this.#host.cancelUpstream(this, reason)
  }

  #cut({ error, outcome, free }: Cut): void {
    this.#exchange?.abort()
    const refusal = refusalAnswer(this.input.request, error, this.input.era)
    const end = { ...this.#endAs(outcome), free, statusCode: refusal.status, error: error.code }
    // What was never sent may be tried again under the same key; what may have run is answered the same way again.
    const kept = free ? undefined : this.#keep(refusal.status, Buffer.from(refusal.text))
    this.#settle(end, (failure) => this.#refuse(failure ?? error), kept)
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

  #settle(end: CallEnd, done: SettledListener, kept?: KeptAnswer): void {
    this.#ended = true
    clearTimeout(this.#timer)
    const settled: SettledListener = (error, result) => {
      this.input.session?.removeCall(this.input.request.id, this)
      this.input.claim?.finish(error ? undefined : kept)
      this.#durable = !error
      done(error, result)
      for (const deliver of this.#waiting.splice(0)) deliver(error)
      this.#host.finished(this)
    }
    this.input.charge.settle(end, settled, kept)
  }

  #keep(status: number, bytes: Uint8Array): KeptAnswer | undefined {
    return this.input.claim?.keep({ record: this.input.charge.id, status, bytes })
  }

  #canRecover(): boolean {
    const { session, request } = this.input
    const known = session?.upstreamSessionId !== undefined || session?.upstream?.transport === 'stdio'
    return known && !this.#recovered && request.method !== 'initialize'
  }

  #recover(): void {
    this.#recovered = true
    this.#exchange?.abort()
    void this.#host.recover(this).then((again) => {
      if (this.#ended) return
      this.#head = undefined
      if (again) this.#exchange = this.#host.dispatch(this)
      else
        this.fail({
          stage: 'handshake',
          message: 'the server lost its session and could not open it again',
          sent: false,
        })
    })
  }

  #sessionToken(): { sessionToken?: string } {
    const { session, request } = this.input
    return session && request.method === 'initialize' ? { sessionToken: session.token } : {}
  }
}

/** The record's end for a final answer; a round that asks for input is not a completed call and costs nothing. */
function answerEnd(answer: JsonRpcMessage): Pick<CallEnd, 'outcome' | 'free' | 'error'> {
  const { outcome, refused, error } = answerOutcome(answer)
  const interim = answer.result?.['resultType'] === 'input_required'
  return { outcome, free: refused || interim, ...(error !== undefined && { error }) }
}

/** The answer with `_meta["tollbridge/cost"]`, or undefined where it has no result to carry it. */
function withCost(answer: JsonRpcMessage, { record, balance }: Settled): Uint8Array | undefined {
  if (!answer.result) return undefined
  const cost = {
    amount: formatAmount(record.cost),
    currency: record.currency,
    balance: formatAmount(balance),
    callId: formatCallId(record.id),
  }
  const meta = answer.result['_meta']
  const merged = { ...(typeof meta === 'object' ? meta : {}), 'tollbridge/cost': cost }
  return Buffer.from(JSON.stringify({ ...answer, result: { ...answer.result, _meta: merged } }))
}

function readProtocolVersion(session: Session, answer: JsonRpcMessage): void {
  const version = answer.result?.['protocolVersion']
  if (typeof version !== 'string') return
  session.protocolVersion = version
  session.advance('connected')
}

const hasEventId = (frame: Uint8Array): boolean =>
  /^id:/m.test(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('latin1'))
