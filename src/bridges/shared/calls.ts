// What tenants have in flight on a shared session: every answer and every progress finds the request that it belongs to.
import type { Clock } from '../../base/clock.ts'
import {
  readdressAnswer,
  readdressCancellation,
  readdressProgress,
  readdressRequest,
  type Written,
} from '../../eras/readdress.ts'
import type { Json } from '../../eras/json-object.ts'
import { resultForRevision } from '../../eras/revisions.ts'
import type {
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamSink,
} from '../../upstreams/upstream.ts'
import { isRequest, isResponse, type JsonRpcMessage } from '../../wire/json-rpc.ts'
import type { Caller, Run, SharedExchange } from './exchange.ts'
import { forgotten, type InnerSession } from './inner.ts'
import type { TaskOwners } from './tasks.ts'

export interface SharedCallsOptions {
  readonly clock: Clock
  readonly nextId: () => number
  readonly maxInFlight: number
  readonly tasks: TaskOwners
  /** A request or notification of the server. */
  readonly onMessage: (inner: InnerSession, message: UpstreamMessage) => void
  readonly onLost: (inner: InnerSession, failure: UpstreamFailure) => void
  /** The server has not taken this one; it is to be sent in a new session. */
  readonly onUntaken: (exchange: SharedExchange) => void
}

/** How long a server may keep the stream of an answer open after the answer. */
const lingerMs = 1000
/** How long a server may still speak of a request after its answer, and after it was given up without one. */
const answeredTrailMs = 1000
const abandonedTrailMs = 60_000
/** Before a stream is resumed that ended without the answer, where the server names no time. */
const firstResumeMs = 1000
const maxResumeMs = 30_000
/** A server that keeps ending streams without an answer is not asked for ever. */
const maxResumes = 100

export class SharedCalls {
  readonly #options: SharedCallsOptions
  /** By the id that the server knows. */
  readonly #pending = new Map<number, SharedExchange>()
  readonly #running = new Map<Caller, number>()
  /** Of whose past requests the server may still speak; no caller where they were several. */
  #trail: { readonly caller: Caller | undefined; readonly untilMs: number } = {
    caller: undefined,
    untilMs: 0,
  }

  constructor(options: SharedCallsOptions) {
    this.#options = options
  }

  get inFlight(): number {
    return this.#pending.size
  }

  /** Sends a tenant's message. The exchange hears of everything later. */
  send(inner: InnerSession, exchange: SharedExchange): void {
    if (exchange.silent) return
    const { message, body, headers: own } = exchange.request
    const headers = withInner(own, inner)
    const run: Run = {
      inner,
      ownId: isRequest(message) ? this.#options.nextId() : undefined,
      exchange: undefined,
      status: 200,
      streaming: true,
      timer: undefined,
      lastEventId: undefined,
      retryMs: firstResumeMs,
      resumes: 0,
    }
    const sink = this.#sinkOf(run, exchange)
    if (!isRequest(message) || run.ownId === undefined) {
      exchange.run = run
      run.exchange = inner.upstream.send({ body, message, headers }, sink)
      return
    }
    if (this.#pending.size >= this.#options.maxInFlight) return queueMicrotask(() => exchange.fail(tooMany))
    const { address, ...request } = readdressRequest(message, body, run.ownId)
    exchange.address = address
    exchange.run = run
    this.#pending.set(run.ownId, exchange)
    this.#running.set(exchange.caller, (this.#running.get(exchange.caller) ?? 0) + 1)
    run.exchange = inner.upstream.send({ body: request.bytes, message: request.message, headers }, sink)
  }

  /** The server's answer to whichever request has its id; others are dropped. */
  answer(message: UpstreamMessage): void {
    const { message: answer, bytes } = message
    const exchange = typeof answer?.id === 'number' ? this.#pending.get(answer.id) : undefined
    if (answer && exchange) this.#answer(exchange, { message: answer, bytes })
  }

  progress({ message, bytes }: UpstreamMessage): void {
    const token = message?.params?.['progressToken']
    const exchange = typeof token === 'number' ? this.#pending.get(token) : undefined
    if (!message || exchange?.address?.token === undefined) return
    exchange.pass(readdressProgress({ message, bytes }, exchange.address))
  }

  /** Passes a tenant's `notifications/cancelled` on, for a request of its own that the server still has. */
  cancel(exchange: SharedExchange, cancelled: JsonRpcMessage): void {
    const { run } = exchange
    if (run?.ownId === undefined || !this.#pending.has(run.ownId)) return
    run.inner.tell(readdressCancellation(cancelled, run.ownId))
  }

  /** Tells the server that the gateway itself has given a request up. */
  giveUp({ run, running }: SharedExchange, reason: string): void {
    if (!running || run?.ownId === undefined) return
    const params = { requestId: run.ownId, reason }
    run.inner.tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params })
  }

  /** The exchange has ended, in whichever way. */
  forget(exchange: SharedExchange): void {
    const { run } = exchange
    if (!run) return
    clearTimeout(run.timer)
    this.#leave(exchange, abandonedTrailMs)
    // An answer's own response ends by itself; breaking it off would cost the connection.
    if (!exchange.answered || run.inner.upstream.multiplexed) return run.exchange?.abort()
    if (!run.streaming) return
    run.timer = setTimeout(() => run.exchange?.abort(), lingerMs)
    run.timer.unref()
  }

  /** Fails what was in flight on a connection that is gone. Over HTTP every request has a response of its own. */
  loseAll(inner: InnerSession, failure: UpstreamFailure): void {
    if (!inner.upstream.multiplexed) return
    const { gone: _, tooLarge, ...own } = failure
    // Whose answer was too large is only known where there was one.
    const isKnown = tooLarge === true && this.#pending.size === 1
    for (const exchange of this.#pending.values())
      if (exchange.run?.inner === inner) exchange.fail({ ...own, sent: true, ...(isKnown && { tooLarge }) })
  }

  /** The one tenant that what the server says of no request in particular can be about; undefined where there are more. */
  soleCaller(): Caller | undefined {
    const [caller] = this.#running.keys()
    if (this.#running.size !== 1 || !caller) return undefined
    return this.mayBeAbout(caller) ? caller : undefined
  }

  /** Whether no other tenant had a request until just now. */
  mayBeAbout(caller: Caller): boolean {
    for (const other of this.#running.keys()) if (other !== caller) return false
    return this.#trail.caller === caller || this.#trail.untilMs <= this.#options.clock.monotonicMs()
  }

  #sinkOf(run: Run, exchange: SharedExchange): UpstreamSink {
    return {
      head: (head) => this.#head(run, exchange, head),
      message: (message) => this.#message(run, exchange, message),
      end: () => {
        clearTimeout(run.timer)
        this.#end(run, exchange)
      },
      fail: (failure) => {
        clearTimeout(run.timer)
        this.#fail(run, exchange, failure)
      },
    }
  }

  #head(run: Run, exchange: SharedExchange, head: UpstreamHead): void {
    run.status = head.status
    run.streaming = head.contentType === 'event-stream'
    if (head.status !== 404) {
      // The session is the gateway's: its id stays here.
      const { sessionId: _, ...own } = head
      return exchange.head(own)
    }
    if (!run.inner.hasId) return
    if (run.resumes === 0) return this.#untaken(run, exchange, forgotten)
    run.exchange?.abort()
    this.#options.onLost(run.inner, forgotten)
    exchange.fail({ ...forgotten, sent: true })
  }

  #message(run: Run, exchange: SharedExchange, message: UpstreamMessage): void {
    const { message: parsed, bytes, frame } = message
    if (frame && !(parsed && isResponse(parsed))) noteEvent(run, frame)
    // Without a frame this is a whole body that is no message; the tenant's own reader knows what to make of it.
    if (!parsed) return frame || run.status === 404 ? undefined : exchange.pass({ message: undefined, bytes })
    if (!isResponse(parsed)) return this.#options.onMessage(run.inner, message)
    // An error may come without an id where the server could not read it (JSON-RPC 2.0, section 5).
    const isBlank = (parsed.id ?? null) === null && parsed.error !== undefined
    if (!isBlank || run.streaming) return this.answer(message)
    if (exchange.running && !run.inner.upstream.multiplexed)
      this.#answer(exchange, { message: parsed, bytes })
  }

  #answer(exchange: SharedExchange, answer: Written): void {
    const { address, run } = exchange
    if (!address || !run) return
    const { result } = answer.message
    const own = this.#options.tasks.onAnswer(exchange, result)
    const told = own && readableBy(exchange, own)
    this.#leave(exchange, answeredTrailMs)
    // A 404 without a session is the server's way of saying that it knows no such method.
    const status = run.status === 404 ? 200 : run.status
    exchange.answer(readdressAnswer(answer, address, told === result ? undefined : told), status)
  }

  #end(run: Run, exchange: SharedExchange): void {
    if (exchange.answered || exchange.silent) return
    if (run.status === 200 && run.lastEventId !== undefined && run.resumes < maxResumes)
      return this.#resume(run, exchange, run.lastEventId)
    if (run.status !== 404) return exchange.end()
    exchange.fail({ stage: 'call', message: 'The server answered with HTTP 404.', sent: true })
  }

  /** The server has ended the stream before the answer, on purpose: the answer comes on another one. */
  #resume(run: Run, exchange: SharedExchange, lastEventId: string): void {
    run.timer = setTimeout(() => {
      run.resumes++
      const headers = { ...run.inner.headers, accept: 'text/event-stream', 'last-event-id': lastEventId }
      run.exchange = run.inner.upstream.listen(headers, this.#sinkOf(run, exchange))
    }, run.retryMs)
    run.timer.unref()
  }

  #fail(run: Run, exchange: SharedExchange, failure: UpstreamFailure): void {
    const { gone, ...own } = failure
    if (gone && !failure.sent) return this.#untaken(run, exchange, own)
    if (gone) this.#options.onLost(run.inner, own)
    exchange.fail(own)
  }

  /** The session is lost and this message was not taken: it may be sent once more, in a new session. */
  #untaken(run: Run, exchange: SharedExchange, failure: UpstreamFailure): void {
    run.exchange?.abort()
    this.#leave(exchange, 0)
    exchange.run = undefined
    this.#options.onLost(run.inner, failure)
    if (exchange.silent) return
    if (exchange.retried) return exchange.fail(failure)
    exchange.retried = true
    this.#options.onUntaken(exchange)
  }

  #leave({ run, caller }: SharedExchange, trailMs: number): void {
    if (run?.ownId === undefined || !this.#pending.delete(run.ownId)) return
    const left = (this.#running.get(caller) ?? 1) - 1
    if (left > 0) this.#running.set(caller, left)
    else this.#running.delete(caller)
    const nowMs = this.#options.clock.monotonicMs()
    const { caller: earlier, untilMs } = this.#trail
    const isAlone = untilMs <= nowMs || earlier === caller
    this.#trail = {
      caller: isAlone ? caller : undefined,
      untilMs: Math.max(untilMs, nowMs + trailMs),
    }
  }
}

const eventField = /^(id|retry): ?([\x20-\x7e]*)$/gm

/** Remembers where an event leaves its stream. */
function noteEvent(run: Run, frame: Uint8Array): void {
  const text = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('latin1')
  for (const [, name, value = ''] of text.matchAll(eventField))
    if (name === 'id') run.lastEventId = value === '' ? undefined : value
    else if (/^\d+$/.test(value)) run.retryMs = Math.min(Number(value), maxResumeMs)
}

/** The result as the client can read it; the same object where nothing has to change. */
function readableBy({ caller, request }: SharedExchange, result: Json): Json {
  const { method } = request.message
  return caller.revision && method !== undefined ? resultForRevision(method, result, caller.revision) : result
}

const tooMany: UpstreamFailure = {
  stage: 'call',
  message: 'Too many requests wait for this server; try again shortly.',
  sent: false,
}

/** The tenant's headers, with this session's own in the place of its. */
function withInner(own: Readonly<Record<string, string>>, inner: InnerSession): Record<string, string> {
  const { 'mcp-session-id': _, 'last-event-id': __, ...rest } = own
  return { ...rest, ...inner.headers }
}
