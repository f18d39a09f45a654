// One notification or response from the client: forwarded, acknowledged, and for a notification recorded.
import { GatewayError } from '../base/errors.ts'
import type { UpstreamFailure, UpstreamHead, UpstreamMessage, UpstreamSink } from '../upstreams/upstream.ts'
import type { CallEnd, Charge } from './charge.ts'
import type { Reply } from './reply.ts'

/** Ends with 202 once the server took the message and the record is durable, or with the server's own refusal. */
export class Notice implements UpstreamSink {
  readonly #reply: Reply
  /** Undefined for a response: it belongs to a call that has its own record. */
  readonly #charge: Charge | undefined
  #status = 202
  #refusal: UpstreamMessage | undefined
  #ended = false

  constructor(reply: Reply, charge: Charge | undefined) {
    this.#reply = reply
    this.#charge = charge
  }

  head(head: UpstreamHead): void {
    this.#status = head.status
  }

  message(message: UpstreamMessage): void {
    this.#refusal = message
  }

  end(): void {
    if (this.#status < 300) return this.#finish(undefined)
    this.#finish(new GatewayError(this.#status < 500 ? 'invalid_request' : 'upstream_unavailable'))
  }

  fail(failure: UpstreamFailure): void {
    this.#finish(new GatewayError('upstream_unavailable', { cause: failure }))
  }

  #finish(error: GatewayError | undefined): void {
    if (this.#ended) return
    this.#ended = true
    if (!this.#charge) return this.#answer(error)
    const end: CallEnd = {
      outcome: error ? 'error' : 'success',
      statusCode: error?.status ?? 202,
      responseBytes: 0,
      free: error !== undefined,
    }
    this.#charge.settle(end, (failure) => this.#answer(failure ?? error))
  }

  #answer(error: GatewayError | undefined): void {
    const callId = this.#charge?.callId
    if (!error) return this.#reply.accepted(callId)
    // The server's own words where it has any: clients negotiate by them.
    if (this.#refusal?.message && error.code === 'invalid_request')
      return this.#reply.final({
        status: this.#status,
        bytes: this.#refusal.bytes,
        ...(callId && { callId }),
      })
    this.#reply.refuse(error)
  }
}
