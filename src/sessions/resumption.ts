// What a client of Streamable HTTP gets of resumption: answers that it can come back for, and streams that go on.
import { asGatewayError, GatewayError } from '../base/errors.ts'
import type { JsonRpcRequest } from '../wire/json-rpc.ts'
import type { KeptStreams, StreamPoint } from './kept-streams.ts'
import type { Relay } from './relay.ts'
import type { Reply } from './reply.ts'
import { ResumableReply } from './resumable-reply.ts'
import type { Session } from './session.ts'

/** A GET of a session's. */
export type StreamRequest = Parameters<Relay['stream']>[0]

export interface ResumptionOptions {
  readonly relay: Relay
  readonly streams: KeptStreams
}

export class Resumption {
  readonly #relay: Relay
  readonly #streams: KeptStreams

  constructor({ relay, streams }: ResumptionOptions) {
    this.#relay = relay
    this.#streams = streams
  }

  /** The reply to a request, so that its stream can be resumed where it becomes one. */
  keep(reply: Reply, session: Session, request: JsonRpcRequest): Reply {
    const streams = this.#streams
    if (!streams.keeps(session)) return reply
    return new ResumableReply(reply, {
      ...this.#manner(session),
      open: ({ callId }) => streams.open(session, callId, request.id),
    })
  }

  /**
   * Opens the session's own stream, or resumes a stream of it behind the event of `last-event-id`. An answer's stream
   * is replayed and followed from here, without asking the server and without a record: it is part of its call.
   */
  open(request: StreamRequest, reply: Reply): void {
    const { session } = request
    if (!this.#streams.keeps(session)) return this.#relay.stream(request, reply)
    const loading = this.#streams.load(session)
    if (!loading) return this.#open(request, reply)
    loading.then(
      () => this.#open(request, reply),
      (error: unknown) => reply.refuse(asGatewayError(error)),
    )
  }

  #open(request: StreamRequest, reply: Reply): void {
    const { session } = request
    if (!session.open) return reply.refuse(new GatewayError('session_not_found'))
    const eventId = request.headers['last-event-id']
    if (eventId === undefined) return this.#listen(request, reply)
    if (!this.#streams.isOwnId(session, eventId)) {
      if (session.straight) return this.#listen(request, reply)
      return reply.refuse(new GatewayError('events_gone'))
    }
    const point = this.#streams.findPoint(session, eventId)
    if (!point) return reply.refuse(new GatewayError('events_gone'))
    if (point.stream.requestId !== undefined) return follow(request, reply, point)
    const { 'last-event-id': _, ...headers } = request.headers
    // Who was there before leaves now, so that the server's stream can be handed over.
    point.stream.unfollow()
    this.#listen({ ...request, headers }, reply, point.seq)
  }

  #listen(request: StreamRequest, reply: Reply, from?: number): void {
    const { session } = request
    const streams = this.#streams
    const own = { from, maxAwayMs: streams.limits.maxAgeMs }
    const manner = this.#manner(session)
    const open = () => streams.own(session)
    this.#relay.stream(request, new ResumableReply(reply, { ...manner, own, open }))
  }

  #manner(session: Session) {
    const { protocolVersion = '', straight } = session
    return {
      straight,
      // Older clients take an event without data for a broken message.
      primes: protocolVersion >= '2025-11-25',
      retryMs: this.#streams.limits.retryMs,
    }
  }
}

/** Replays and follows until the stream ends, another connection takes over, or the credential does. */
function follow({ principal }: StreamRequest, reply: Reply, { stream, seq }: StreamPoint): void {
  reply.stream({ callId: stream.callId })
  let expiry: NodeJS.Timeout | undefined
  stream.follow(reply, seq, () => clearTimeout(expiry))
  if (principal.expiresAtMs === undefined || !stream.followed) return
  expiry = setTimeout(() => stream.unfollow(reply), Math.min(principal.expiresAtMs - Date.now(), 2 ** 31 - 1))
  expiry.unref()
}
