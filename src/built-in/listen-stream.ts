// One `subscriptions/listen` at the built-in server: acknowledged with nothing, since nothing of it changes.
import { subscriptionIdKey } from '../eras/change-filter.ts'
import type { UpstreamExchange, UpstreamSink } from '../upstreams/upstream.ts'
import type { JsonRpcMessage, RequestId } from '../wire/json-rpc.ts'

/** Stays open until the caller leaves (MCP 2026-07-28, "Subscriptions"). */
export class ListenStream implements UpstreamExchange {
  readonly #sink: UpstreamSink
  readonly #id: RequestId
  #silent = false

  constructor(sink: UpstreamSink, id: RequestId) {
    this.#sink = sink
    this.#id = id
  }

  /** The sink hears nothing before the exchange is in its caller's hands. */
  start(): this {
    queueMicrotask(() => {
      if (this.#isSilent()) return
      this.#sink.head({ status: 200, contentType: 'event-stream' })
      if (this.#isSilent()) return
      const message: JsonRpcMessage = {
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: { notifications: {}, _meta: { [subscriptionIdKey]: this.#id } },
      }
      this.#sink.message({ message, bytes: Buffer.from(JSON.stringify(message)) })
    })
    return this
  }

  abort(): void {
    this.#silent = true
  }

  pause(): void {}

  resume(): void {}

  /** Asked again after each call of the sink, which may have aborted. */
  #isSilent(): boolean {
    return this.#silent
  }
}
