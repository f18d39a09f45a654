// A modern way that keeps nothing between two messages: no stream of its own, no session, nothing to close.
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from '../upstreams/upstream.ts'
import type { Era } from '../wire/protocol-version.ts'
import { OwnExchange } from './own-exchange.ts'

/** Whoever extends it says how a message is sent. */
export abstract class StreamlessWay implements Upstream {
  abstract readonly transport: Upstream['transport']
  abstract readonly era: Era
  readonly multiplexed = false

  abstract send(request: UpstreamRequest, sink: UpstreamSink): UpstreamExchange

  /** There is no stream of a server's own: listening is a request in the modern era. */
  listen(_: UpstreamRequest['headers'], sink: UpstreamSink): UpstreamExchange {
    return new OwnExchange(sink).answerBare(405)
  }

  endSession(): Promise<number> {
    return Promise.resolve(405)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
