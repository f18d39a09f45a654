// The stream of a session's unsolicited messages (legacy GET): forwarded as it comes, recorded when it ends.
import { GatewayError } from '../base/errors.ts'
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamSink,
} from '../upstreams/upstream.ts'
import { isResponse } from '../wire/json-rpc.ts'
import type { CallEnd, Charge, SettledListener } from './charge.ts'
import type { Reply } from './reply.ts'
import type { Session } from './session.ts'

/** Lives until the client, the server or the gateway ends it. A final answer that comes here settles its call first. */
export class ServerStream implements UpstreamSink {
  readonly #session: Session
  readonly #reply: Reply
  readonly #charge: Charge
  #exchange: UpstreamExchange | undefined
  #bytes = 0
  #ended = false
  #upstreamEnded = false
  #settling = 0
  #expiry: NodeJS.Timeout | undefined
  readonly #end = (): void => this.#close('success')

  constructor(session: Session, reply: Reply, charge: Charge) {
    this.#session = session
    this.#reply = reply
    this.#charge = charge
  }

  start(open: (sink: UpstreamSink) => UpstreamExchange): void {
    this.#session.streams.add(this.#end)
    this.#charge.keepCovered(
      () => this.#bytes,
      () => this.#close('denied'),
    )
    this.#reply.onGone(() => this.#close('success'))
    this.#exchange = open(this)
  }

  /** Ends the stream when the credential that opened it does. */
  endAt(expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined || this.#ended) return
    const delayMs = Math.min(expiresAtMs - Date.now(), 2 ** 31 - 1)
    this.#expiry = setTimeout(() => this.#close('success'), Math.max(0, delayMs))
    this.#expiry.unref()
  }

  head(head: UpstreamHead): void {
    if (head.status === 200 && head.contentType === 'event-stream')
      return this.#reply.stream({ callId: this.#charge.callId })
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
    if (this.#ended) return
    const answer = message.message && isResponse(message.message) ? message.message : undefined
    if (answer && this.#session.isWithheld(answer.id)) return
    const call = answer && this.#session.findCall(answer.id)
    if (!answer || !call) {
      this.#bytes += message.bytes.length
      if (this.#charge.cover(this.#bytes)) return this.#close('denied')
      return this.#forward(message)
    }
    // The bytes of an answer are its call's, so that they are not charged twice.
    this.#settling++
    call.resume(message, answer, (instead) => {
      this.#settling--
      this.#forward(instead ? { message: undefined, bytes: instead } : message)
      if (this.#upstreamEnded) this.end()
    })
  }

  /** The server has ended the stream; answers that are not durable yet still go out first. */
  end(): void {
    this.#upstreamEnded = true
    if (this.#settling === 0) this.#close('success')
  }

  fail(failure: UpstreamFailure): void {
    this.#refuse(new GatewayError('upstream_unavailable', { cause: failure }), false)
  }

  #refuse(error: GatewayError, free: boolean): void {
    const { callId } = this.#charge
    this.#settle({ outcome: 'error', statusCode: error.status, free }, (unrecorded) =>
      unrecorded ? this.#reply.refuse(unrecorded) : this.#reply.refuse(error, callId),
    )
  }

  #forward(message: UpstreamMessage): void {
    if (this.#ended || this.#reply.message(message)) return
    this.#exchange?.pause()
    this.#reply.onDrain(() => this.#exchange?.resume())
  }

  #close(outcome: CallEnd['outcome']): void {
    this.#exchange?.abort()
    this.#settle({ outcome, statusCode: 200, free: false }, () => this.#reply.end())
  }

  #settle(end: Omit<CallEnd, 'responseBytes'>, done: SettledListener): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#expiry)
    this.#session.streams.delete(this.#end)
    this.#charge.settle({ ...end, responseBytes: this.#bytes }, done)
  }
}
