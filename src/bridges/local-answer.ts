// Answers that a bridge gives itself, in the shape of an exchange with a server.
import { GatewayError } from '../base/errors.ts'
import { errorResponse, resultResponse, type JsonRpcMessage, type RequestId } from '../wire/json-rpc.ts'
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamMessage,
  UpstreamSink,
} from '../upstreams/upstream.ts'

/** Nothing is read, so there is nothing to pause; the sink hears nothing before it is in its caller's hands. */
class LocalAnswer implements UpstreamExchange {
  #silent = false

  abort(): void {
    this.#silent = true
  }

  pause(): void {}

  resume(): void {}

  async give(
    sink: UpstreamSink,
    message: UpstreamMessage | undefined,
    after = Promise.resolve(),
  ): Promise<void> {
    await after
    if (this.#silent) return
    sink.head(message ? { status: 200, contentType: 'json' } : { status: 202, contentType: 'none' })
    if (message && !this.#isSilent()) sink.message(message)
    if (!this.#isSilent()) sink.end()
  }

  refuse(sink: UpstreamSink, failure: UpstreamFailure): void {
    queueMicrotask(() => {
      if (!this.#silent) sink.fail(failure)
    })
  }

  /** Asked again after each call of the sink, which may have aborted. */
  #isSilent(): boolean {
    return this.#silent
  }
}

/** Answers a request with one message, soon or once `after` is over. */
export function answerLocally(sink: UpstreamSink, text: string, after?: Promise<void>): UpstreamExchange {
  const answer = new LocalAnswer()
  void answer.give(sink, asMessage(text), after)
  return answer
}

/** Takes a notification or a response, of which nothing more is heard. */
export function acceptLocally(sink: UpstreamSink): UpstreamExchange {
  const answer = new LocalAnswer()
  void answer.give(sink, undefined)
  return answer
}

/** Refuses a message that was not sent. */
export function refuseLocally(sink: UpstreamSink, failure: UpstreamFailure): UpstreamExchange {
  const answer = new LocalAnswer()
  answer.refuse(sink, failure)
  return answer
}

export const asMessage = (text: string): UpstreamMessage => ({
  message: JSON.parse(text) as JsonRpcMessage,
  bytes: Buffer.from(text),
})

/** The text of an empty result, which is how MCP says "done". */
export const emptyResult = (id: RequestId): string => resultResponse(id, {})

/** The text of a JSON-RPC error for what the pair of eras cannot carry; `detail` is a sentence with the next step. */
export function cannotCarry(id: RequestId, detail: string): string {
  const { code, rpcCode, message } = new GatewayError('unprocessable', { detail })
  return errorResponse(id, { code: rpcCode, message, data: { code } })
}

/** Why a way to the server could not be had, as a failure of a message that was not sent. */
export function noWay(cause: unknown): UpstreamFailure {
  const message = cause instanceof GatewayError ? cause.message : 'there is no way to the server'
  return { stage: 'connect', message, sent: false, cause }
}
