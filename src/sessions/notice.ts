// One notification or response from the client: forwarded, acknowledged, and for a notification recorded.
import { GatewayError } from '../base/errors.ts'
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamSink,
} from '../upstreams/upstream.ts'
import type { CallEnd, Charge } from './charge.ts'
import type { Reply } from './reply.ts'

export interface NoticeInput {
  readonly reply: Reply
  /** Undefined for a response: it belongs to a call that has its own record. */
  readonly charge: Charge | undefined
  /** Milliseconds until the server must have taken the message. */
  readonly timeoutMs: number
  /** Runs once when the reply is answered. */
  readonly finished: (notice: Notice) => void
}

/** Ends with 202 once the server took the message and the record is durable, or with the server's own refusal. */
export class Notice implements UpstreamSink {
  readonly #input: NoticeInput
  #exchange: UpstreamExchange | undefined
  #timer: NodeJS.Timeout | undefined
  #status = 202
  #refusal: UpstreamMessage | undefined
  #ended = false

  constructor(input: NoticeInput) {
    this.#input = input
  }

  start(send: (sink: UpstreamSink) => UpstreamExchange): void {
    this.#timer = setTimeout(() => this.abandon(new GatewayError('upstream_timeout')), this.#input.timeoutMs)
    this.#exchange = send(this)
  }

  /** Gives up on the server and answers with `error`. */
  abandon(error: GatewayError): void {
    this.#exchange?.abort()
    this.#finish(error)
  }

  head(head: UpstreamHead): void {
    this.#status = head.status
  }

  message(message: UpstreamMessage): void {
    this.#refusal = message
  }

  end(): void {
    this.#finish(this.#status < 300 ? undefined : new GatewayError(refusalCode(this.#status)))
  }

  fail(failure: UpstreamFailure): void {
    this.#finish(new GatewayError('upstream_unavailable', { cause: failure }))
  }

  #finish(error: GatewayError | undefined): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#timer)
    const { charge } = this.#input
    if (!charge) return this.#answer(error, undefined)
    const end: CallEnd = {
      outcome: error ? (error.code === 'upstream_timeout' ? 'timeout' : 'error') : 'success',
      statusCode: error?.status ?? 202,
      responseBytes: 0,
      free: error !== undefined,
      ...(error && { error: error.code }),
    }
    // What could not be recorded has no record to name.
    charge.settle(end, (failure) => this.#answer(failure ?? error, failure ? undefined : charge.callId))
  }

  #answer(error: GatewayError | undefined, callId: string | undefined): void {
    const { reply, finished } = this.#input
    // The server's own words where it has any: clients negotiate by them.
    const own = error && isOwnWords(error) ? this.#refusal : undefined
    if (!error) reply.accepted(callId)
    else if (own?.message) reply.final({ status: this.#status, bytes: own.bytes, ...(callId && { callId }) })
    else reply.refuse(error, callId)
    finished(this)
  }
}

/** A 401 or 403 is about the gateway's own credential, a redirect is never followed: neither is the client's affair. */
function refusalCode(status: number): 'session_not_found' | 'invalid_request' | 'upstream_unavailable' {
  if (status === 404) return 'session_not_found'
  const refused = status >= 400 && status < 500 && status !== 401 && status !== 403
  return refused ? 'invalid_request' : 'upstream_unavailable'
}

const isOwnWords = (error: GatewayError): boolean =>
  error.code === 'invalid_request' || error.code === 'session_not_found'
