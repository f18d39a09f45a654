// One message from start to end: refuse it, or price it, send it, and see it answered.
import { asGatewayError, GatewayError } from '../base/errors.ts'
import { LinkedList } from '../base/linked-list.ts'
import { isRevokedBy, type Revocation } from '../identity/revocations.ts'
import { scopeFault } from '../identity/scopes.ts'
import type { Admission } from '../policy/limits/limits.ts'
import { tell, unheard } from '../upstreams/tell.ts'
import type { UpstreamExchange, UpstreamFailure } from '../upstreams/upstream.ts'
import { isResponse, type JsonRpcMessage } from '../wire/json-rpc.ts'
import { Call, type CallHost } from './call.ts'
import { Deadlines } from './deadlines.ts'
import { isAsking, type Asking, type Incoming } from './incoming.ts'
import { Notice } from './notice.ts'
import { originOf } from './origin.ts'
import type { OpenStream } from './open-streams.ts'
import type { Asked, PaidCalls, Ready } from './paid-calls.ts'
import { withSettlement } from './payment-answers.ts'
import { presenterOf } from './presenter.ts'
import { reach, toOf, withSession, type To } from './reach.ts'
import { recoverSession } from './recovery.ts'
import { findDenial } from './permission.ts'
import { refusalAnswer, refuseRecorded, refuseUnknown, settleDenied } from './refusal.ts'
import { repeatOf } from './repeat.ts'
import { fingerprint, type Claim } from './replays.ts'
import type { RelayOptions } from './relay-options.ts'
import type { Reply } from './reply.ts'
import type { TaskOwner } from './tasks/store.ts'
import { ServerStream } from './server-stream.ts'
import type { Session } from './session.ts'
import { holdOff } from './unsent.ts'

/** Methods whose answer is a stream that may stay open for good. */
const openEnded = new Set(['subscriptions/listen'])
/** Methods that are never repeated from a kept answer: they make or watch state that cannot be handed out twice. */
const unrepeatable = new Set(['initialize', 'subscriptions/listen'])
const usedId = 'A request with this id is already in flight in this session; use another id.'

interface Paying extends Asked {
  readonly reply: Reply
  readonly claim: Claim | undefined
  readonly admitted: Admission | undefined
}

export class Relay implements CallHost {
  readonly #options: RelayOptions
  readonly deadlines = new Deadlines()
  readonly #calls = new LinkedList<Call>()
  readonly #notices = new Set<Notice>()
  /** Calls whose payment is being verified. */
  #paying = 0
  #draining = false

  constructor(options: RelayOptions) {
    this.#options = options
  }

  /** Calls in flight. */
  get inFlight(): number {
    return this.#calls.size + this.#notices.size + this.#paying
  }

  /** Handles one message; the reply is answered exactly once. */
  handle(incoming: Incoming, reply: Reply): void {
    const fault = isAsking(incoming) && scopeFault(incoming.principal, incoming.message.method)
    if (fault) {
      this.#options.onDenied?.(incoming, 'insufficient_scope')
      return reply.refuse(fault)
    }
    if (isAsking(incoming)) this.#reopen(incoming, reply)
    else this.#forward(incoming, reply, !isResponse(incoming.message))
  }

  /** Opens the session's stream of unsolicited messages; recorded as method `stream`. */
  stream(
    incoming: Omit<Incoming, 'message' | 'body' | 'session'> & { session: Session },
    reply: Reply,
  ): void {
    const { session } = incoming
    // Whether an HTTP server takes a second stream is its own affair; a child has one output to listen to.
    if (session.upstream?.multiplexed && session.streams.size > 0)
      return reply.refuse(new GatewayError('stream_conflict'))
    const blocked = this.#blocked(incoming)
    if (blocked) return reply.refuse(blocked)
    const origin = originOf({ ...incoming, body: new Uint8Array() }, 'stream')
    const admission = this.#options.limits.admit(origin)
    if (admission?.state) reply.limited?.(admission.state)
    if (admission && 'error' in admission) return reply.refuse(admission.error)
    const { charge, refusal } = this.#options.metering.begin(origin)
    if (refusal) {
      admission?.release()
      return refuseRecorded(charge, refusal, reply)
    }
    const stay = { reply, charge, admission }
    const { expiresAtMs } = incoming.principal
    // Whoever resumes behind an event of the server's own has to ask the server.
    if (session.left && incoming.headers['last-event-id'] === undefined) {
      charge.way = session.upstream
      return session.left.attach(stay, expiresAtMs)
    }
    const headers = withSession(incoming.headers, session)
    const stream = new ServerStream(session, stay)
    const to = { ...incoming, charge }
    stream.start((sink) => reach(this.#options.ways, to, sink, (upstream) => upstream.listen(headers, sink)))
    stream.endAt(expiresAtMs)
  }

  /**
   * From now on new requests are refused and streams that may stay open are ended; resolves when what is in flight is
   * done or `drainMs` have passed, after which the rest is answered with an error.
   */
  async drain(drainMs: number): Promise<void> {
    this.#draining = true
    const over = new GatewayError('shutting_down', { retryAfterS: 5 })
    for (const call of this.#calls) if (call.input.timeoutMs === undefined) call.abandon(over)
    const deadline = performance.now() + drainMs
    while (this.inFlight > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20))
    for (const call of this.#calls) call.abandon(over)
    for (const notice of this.#notices) notice.abandon(over)
  }

  /** The calls whose answers are streams for as long as somebody wants them. */
  *openStreams(): Generator<OpenStream> {
    for (const call of this.#calls)
      if (call.input.timeoutMs === undefined)
        yield {
          charge: call.input.charge,
          stop: () => call.abandon(new GatewayError('stream_closed')),
        }
  }

  /** Ends the open-ended calls of whoever lost their credential; ordinary calls may still finish. */
  endStreamsOf(revocation: Revocation): void {
    for (const call of this.#calls)
      if (call.input.timeoutMs === undefined && isRevokedBy(revocation, call.input.principal))
        call.abandon(new GatewayError('unauthorized'))
  }

  dispatch(call: Call): UpstreamExchange {
    const { body, request, session, headers, server } = call.input
    const heldOffMs = this.#options.breakers.holdOffMs(server)
    if (heldOffMs > 0) return holdOff(call, Math.ceil(heldOffMs / 1000))
    const message = { body, message: request, headers: withSession(headers, session) }
    return reach(this.#options.ways, toOf(call), call, (upstream) => upstream.send(message, call))
  }

  recover(call: Call): Promise<boolean> {
    const { session, endpoint } = call.input
    return session ? recoverSession(session, endpoint, this.#options) : Promise.resolve(false)
  }

  cancelUpstream(call: Call, reason: string): void {
    const { request, session, headers } = call.input
    const params = { requestId: request.id, reason }
    const message: JsonRpcMessage = { jsonrpc: '2.0', method: 'notifications/cancelled', params }
    reach(this.#options.ways, toOf(call), unheard, (upstream) =>
      tell(upstream, message, withSession(headers, session)),
    )
  }

  taskStarted(
    { input: { server, principal, request } }: Call,
    answer: JsonRpcMessage,
  ): TaskOwner | undefined {
    return this.#options.tasks?.started(server, principal, request, answer)
  }

  reportFailure(call: Call, failure: UpstreamFailure): void {
    this.#options.log.debug(
      { server: call.input.server.name, call: call.input.charge.callId, failure },
      'a call failed',
    )
    // A call that was not even tried tells nothing new.
    if (failure.retryAfterS !== undefined) return
    this.#options.breakers.failed(call.input.server, failure)
    this.#options.reportFailure(call.input.server, failure)
  }

  reportAnswer(call: Call, isResult: boolean): void {
    this.#options.breakers.answered(call.input.server)
    if (isResult) this.#options.reportSuccess(call.input.server)
  }

  finished(call: Call): void {
    if (call.inFlight) this.#calls.remove(call.inFlight)
    const { session, request, charge, admission } = call.input
    admission?.release()
    this.#options.payloads?.finished(charge.id)
    if (!session?.open) return
    if (request.method !== 'initialize') session.advance('active')
    else if (session.status === 'created' && session.ephemeral) this.#options.onInitializeFailed(session)
  }

  /** A call that comes back from the question to top up goes on as it was first sent. */
  #reopen(incoming: Asking, reply: Reply): void {
    const first = this.#options.linkQuestion?.reopen(incoming) ?? incoming
    if (first instanceof GatewayError) return this.#refuse(incoming, reply, first)
    if (isAsking(first)) this.#request(first, reply)
  }

  #request(incoming: Asking, reply: Reply): void {
    const { idempotencyKey, message } = incoming
    const refusal = this.#blocked(incoming) ?? this.#prepare(incoming)
    if (refusal) return this.#refuse(incoming, reply, refusal)
    if (idempotencyKey === undefined || unrepeatable.has(message.method)) return this.#run(incoming, reply)
    void this.#runOnce(incoming, reply, idempotencyKey)
  }

  async #runOnce(incoming: Asking, reply: Reply, key: string): Promise<void> {
    const { message, server, principal } = incoming
    try {
      const verdict = await this.#options.replays.claim(
        principal.accountId,
        key,
        fingerprint(server.id, message),
      )
      if (verdict.kind === 'run') return this.#runClaimed(incoming, reply, verdict.claim)
      if (verdict.kind === 'refuse') return this.#refuse(incoming, reply, verdict.error)
      reply.final(repeatOf(incoming, verdict.kept, this.#options))
    } catch (cause) {
      this.#refuse(incoming, reply, new GatewayError('store_unavailable', { cause, retryAfterS: 1 }))
    }
  }

  #runClaimed(incoming: Asking, reply: Reply, claim: Claim): void {
    // Much may have changed while the key was waited for.
    const blocked = this.#blocked(incoming)
    try {
      if (!blocked) return this.#run(incoming, reply, claim)
    } catch (error) {
      claim.finish(undefined)
      throw error
    }
    claim.finish(undefined)
    this.#refuse(incoming, reply, blocked)
  }

  #run(incoming: Asking, reply: Reply, claim?: Claim): void {
    const { message, server, session } = incoming
    const twice = this.#findTwice(incoming)
    if (twice) {
      claim?.finish(undefined)
      return this.#refuse(incoming, reply, twice)
    }
    const member = this.#options.ways.findMember(server, incoming.principal, message)
    const billed = member?.server ?? server
    const { paidCalls, metering } = this.#options
    const origin = originOf(incoming, message.method, member)
    // A call that has paid was let in before its payment was taken.
    const isIn = incoming.begun !== undefined
    const admitted = isIn ? incoming.admission : this.#options.limits.admit(origin)
    if (admitted?.state && !isIn) reply.limited?.(admitted.state)
    if (admitted && 'error' in admitted) {
      claim?.finish(undefined)
      return this.#refuse(incoming, reply, admitted.error)
    }
    const { onDenied } = this.#options
    const denial = isIn ? undefined : findDenial(incoming, member, this.#options)
    if (denial !== undefined) {
      onDenied?.(incoming, typeof denial === 'string' ? 'access_denied' : denial.code)
      admitted?.release()
      claim?.finish(undefined)
      const charge = metering.prepare(origin)
      if (typeof denial === 'string') return refuseUnknown(charge, reply, denial)
      return settleDenied(charge, denial, (error) => this.#refuse(incoming, reply, error, charge.callId))
    }
    if (paidCalls?.isPaid(message))
      return void this.#pay(paidCalls, { incoming, member, reply, claim, admitted })
    const { charge, refusal } = incoming.begun ?? metering.begin(origin, billed.usageReport)
    if (refusal) {
      admitted?.release()
      claim?.finish(undefined)
      const why = paidCalls?.offer(refusal, charge, { incoming, member }) ?? refusal
      return settleDenied(charge, why, (error) => this.#refuse(incoming, reply, error, charge.callId))
    }
    this.#options.payloads?.begin(charge, billed, message)
    const present = presenterOf(incoming, billed, this.#options)
    const call = new Call(
      {
        principal: incoming.principal,
        request: message,
        body: incoming.body,
        era: incoming.era,
        server: billed,
        endpoint: server,
        charge,
        reply,
        headers: incoming.headers,
        timeoutMs: openEnded.has(message.method) ? undefined : billed.timeouts.callMs,
        present: incoming.begun ? withSettlement(present) : present,
        session,
        claim,
        admission: admitted,
      },
      this,
    )
    call.inFlight = this.#calls.add(call)
    call.start()
  }

  /** Over HTTP each request has an answer of its own; a child's answers are told apart by id alone. */
  #findTwice({ session, message }: Asking): GatewayError | undefined {
    const isTwice = session?.upstream?.multiplexed && session.findCall(message.id)
    return isTwice ? new GatewayError('invalid_request', { detail: usedId }) : undefined
  }

  /** Has the payment of a call verified and taken, and then runs it without. */
  async #pay(paidCalls: PaidCalls, paid: Paying): Promise<void> {
    const { reply, claim } = paid
    let ready: Ready | undefined
    this.#paying++
    try {
      ready = await paidCalls.ready(paid)
      // Much may have changed meanwhile.
      const blocked = this.#blocked(paid.incoming, 1) ?? this.#findTwice(paid.incoming)
      if (blocked) throw blocked
      const { incoming } = ready
      const begun = ready.open()
      ready = undefined
      this.#run({ ...incoming, begun, admission: paid.admitted }, reply, claim)
    } catch (error) {
      ready?.drop()
      paid.admitted?.release()
      claim?.finish(undefined)
      this.#refuse(paid.incoming, reply, asGatewayError(error))
    } finally {
      this.#paying--
    }
  }

  /** Readies a session for its initialize; returns why its server cannot be reached. */
  #prepare({ session, message, body, server }: Asking): GatewayError | undefined {
    if (!session || message.method !== 'initialize') return undefined
    if (session.calls.some((call) => call.input.request.method === 'initialize'))
      return new GatewayError('invalid_request', { detail: 'This session is being initialized already.' })
    session.initializeBody = body
    try {
      session.upstream ??= this.#options.ways.forSession(server, session, message)
      return undefined
    } catch (error) {
      return asGatewayError(error)
    }
  }

  /** Answers a request that is not sent; the session that it would have begun ends with it. */
  #refuse(incoming: Asking, reply: Reply, error: GatewayError, callId?: string): void {
    const { message, session, era } = incoming
    const question =
      callId === undefined ? undefined : this.#options.linkQuestion?.ask(incoming, error, callId)
    const { status, text } = question ?? refusalAnswer(message, error, era)
    reply.final({
      status,
      bytes: Buffer.from(text),
      ...(error.retryAfterS !== undefined && { retryAfterS: error.retryAfterS }),
      ...(callId !== undefined && { callId, cost: '0' }),
    })
    const begun = session?.ephemeral && session.status === 'created' && session.calls.length === 0
    if (begun && message.method === 'initialize') this.#options.onInitializeFailed(session)
  }

  /** A notification (recorded), or a response to a request of the server (part of the call that it belongs to). */
  #forward(incoming: Incoming, reply: Reply, recorded: boolean): void {
    const { message, session, body } = incoming
    const blocked = this.#blocked(incoming)
    if (blocked) return reply.refuse(blocked)
    const begun = recorded
      ? this.#options.metering.begin(originOf(incoming, message.method ?? ''))
      : undefined
    if (begun?.refusal) {
      return refuseRecorded(begun.charge, begun.refusal, reply)
    }
    const headers = withSession(incoming.headers, session)
    const notice = new Notice({
      reply,
      charge: begun?.charge,
      timeoutMs: incoming.server.timeouts.callMs,
      finished: () => this.#notices.delete(notice),
    })
    this.#notices.add(notice)
    const to = { ...incoming, charge: begun?.charge }
    notice.start((sink) =>
      reach(this.#options.ways, to, sink, (upstream) => upstream.send({ body, message, headers }, sink)),
    )
    if (message.method === 'notifications/cancelled')
      session?.findCall(message.params?.['requestId'])?.cancel()
  }

  /** Why nothing may be sent to this server, or in this session, now. */
  #blocked({ server, session }: Pick<To, 'server' | 'session'>, counted = 0): GatewayError | undefined {
    if (this.#draining) return new GatewayError('shutting_down', { retryAfterS: 5 })
    if (session && !session.open) return new GatewayError('session_not_found')
    if (server.status === 'inactive') return new GatewayError('server_inactive')
    if (!this.#options.metering.accepting) return new GatewayError('store_unavailable', { retryAfterS: 1 })
    if (this.inFlight - counted >= this.#options.maxInFlight)
      return new GatewayError('overloaded', { retryAfterS: 1 })
    return undefined
  }
}
