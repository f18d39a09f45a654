// The stream of a session's unsolicited messages (legacy GET): forwarded as it comes, recorded when it ends.
import { GatewayError } from '../base/errors.ts'
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamSink,
} from '../upstreams/upstream.ts'
import type { Admission } from '../policy/limits/limits.ts'
import { isResponse } from '../wire/json-rpc.ts'
import type { CallEnd, Charge, SettledListener } from './charge.ts'
import type { OpenStream } from './open-streams.ts'
import type { Absence, Reply } from './reply.ts'
import type { LeftStream, Session, Stay } from './session.ts'

/**
 * Lives until the client, the server or the gateway ends it. A final answer that comes here settles its call first.
 * Where the reply keeps messages for a client that is away, the server is listened to until it comes back: each of its
 * stays is a record of its own, and what came meanwhile is on the next one.
 */
export class ServerStream implements UpstreamSink, LeftStream, OpenStream {
  readonly #session: Session
  #reply: Reply
  #charge: Charge
  #admission: Admission | undefined
  #exchange: UpstreamExchange | undefined
  /** Since the last record. */
  #bytes = 0
  #streaming = false
  /** Nothing more comes of it. */
  #over = false
  /** The client's stay is recorded, or about to be. */
  #settled = false
  #upstreamEnded = false
  #settling = 0
  #expiry: NodeJS.Timeout | undefined
  #absence: NodeJS.Timeout | undefined

  constructor(session: Session, { reply, charge, admission }: Stay) {
    this.#session = session
    this.#reply = reply
    this.#charge = charge
    this.#admission = admission
  }

  /** Of the client's present stay. */
  get charge(): Charge {
    return this.#charge
  }

  start(open: (sink: UpstreamSink) => UpstreamExchange): void {
    this.#begin()
    this.#exchange = open(this)
  }

  attach({ reply, charge, admission }: Stay, expiresAtMs: number | undefined): void {
    clearTimeout(this.#absence)
    this.#session.left = undefined
    this.#reply = reply
    this.#charge = charge
    this.#admission = admission
    this.#settled = false
    this.#begin()
    if (this.#streaming) reply.stream({ callId: charge.callId })
    this.#exchange?.resume()
    const refusal = charge.cover(this.#bytes)
    if (refusal) this.#close(refusal)
    this.endAt(expiresAtMs)
  }

  /** Ends the client's stay when the credential that opened it ends. */
  endAt(expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined || this.#settled) return
    const delayMs = Math.min(expiresAtMs - Date.now(), 2 ** 31 - 1)
    const expire = (): void => (this.#reply.absence ? this.#reply.end() : this.#close())
    this.#expiry = setTimeout(expire, Math.max(0, delayMs))
    this.#expiry.unref()
  }

  stop(): void {
    this.#close()
  }

  /** The server has ended the stream; answers that are not durable yet still go out first. */
  end(): void {
    this.#upstreamEnded = true
    if (this.#settling === 0) this.#close()
  }

  head(head: UpstreamHead): void {
    if (head.status === 200 && head.contentType === 'event-stream') {
      this.#streaming = true
      return this.#reply.stream({ callId: this.#charge.callId })
    }
    const code =
      head.status === 405
        ? 'method_not_allowed'
        : head.status === 409
          ? 'stream_conflict'
          : 'upstream_unavailable'
    const detail = head.status === 405 ? 'This server has no stream of its own; use POST.' : undefined
    const error =
      head.status === 404
        ? new GatewayError('session_not_found')
        : new GatewayError(code, detail ? { detail } : {})
    this.#refuse(error, true)
    this.#exchange?.abort()
  }

  message(message: UpstreamMessage): void {
    if (this.#over) return
    const answer = message.message && isResponse(message.message) ? message.message : undefined
    if (answer && this.#session.isWithheld(answer.id)) return
    const call = answer && this.#session.findCall(answer.id)
    if (!answer || !call) {
      this.#bytes += message.bytes.length
      this.#admission?.spend(message.bytes.length)
      const refusal = this.#settled ? undefined : this.#charge.cover(this.#bytes)
      return refusal ? this.#close(refusal) : this.#forward(message)
    }
    // The bytes of an answer are its call's, so that they are not charged twice.
    this.#settling++
    call.resume(message, answer, (instead) => {
      this.#settling--
      this.#forward(instead ? { message: undefined, bytes: instead } : message)
      if (this.#upstreamEnded) this.end()
    })
  }

  fail(failure: UpstreamFailure): void {
    this.#refuse(new GatewayError('upstream_unavailable', { cause: failure }), false)
  }

  #begin(): void {
    this.#session.streams.add(this)
    const charge = this.#charge
    charge.keepCovered(
      () => this.#bytes,
      (refusal) => this.#close(refusal),
    )
    this.#reply.onGone(() => {
      if (this.#charge === charge) this.#gone(this.#reply.absence)
    })
  }

  /** The client has left, or another connection has taken its place. */
  #gone(absence: Absence | undefined): void {
    if (this.#settled) return
    if (!absence || this.#over || this.#session.left) return this.#close()
    this.#settle({ outcome: 'success', statusCode: 200, free: false }, () => {})
    this.#session.left = this
    this.#absence = setTimeout(() => {
      absence.missed()
      this.stop()
    }, absence.maxMs)
    this.#absence.unref()
  }

  #refuse(error: GatewayError, free: boolean): void {
    this.#over = true
    const { callId } = this.#charge
    this.#settle({ outcome: 'error', statusCode: error.status, free }, (unrecorded) =>
      unrecorded ? this.#reply.refuse(unrecorded) : this.#reply.refuse(error, callId),
    )
  }

  #forward(message: UpstreamMessage): void {
    if (this.#over || this.#reply.message(message)) return
    this.#exchange?.pause()
    this.#reply.onDrain(() => this.#exchange?.resume())
  }

  /** Whoever ends it, what it brought until then was delivered: a balance that runs out pays for that too. */
  #close(refusal?: GatewayError): void {
    this.#over = true
    this.#exchange?.abort()
    const end = {
      outcome: 'success',
      statusCode: 200,
      free: false,
      ...(refusal && { error: refusal.code }),
    } as const
    this.#settle(end, (unrecorded) => {
      const why = unrecorded ?? refusal
      if (why) this.#reply.refuse(why)
      else this.#reply.end()
    })
  }

  #settle(end: Omit<CallEnd, 'responseBytes'>, done: SettledListener): void {
    if (this.#over) {
      clearTimeout(this.#absence)
      if (this.#session.left === this) this.#session.left = undefined
    }
    if (this.#settled) return
    this.#settled = true
    clearTimeout(this.#expiry)
    this.#admission?.release()
    this.#session.streams.delete(this)
    const responseBytes = this.#bytes
    this.#bytes = 0
    this.#charge.settle({ ...end, responseBytes }, done)
  }
}
