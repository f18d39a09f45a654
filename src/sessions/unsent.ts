// Exchanges that fail without having been tried.
import { GatewayError } from '../base/errors.ts'
import type { UpstreamExchange, UpstreamSink } from '../upstreams/upstream.ts'

const noExchange: UpstreamExchange = { abort: () => {}, pause: () => {}, resume: () => {} }

/** Its server has failed too often lately. */
export function holdOff(sink: UpstreamSink, retryAfterS: number): UpstreamExchange {
  const message = 'the server is in trouble and is left alone for a moment'
  queueMicrotask(() => sink.fail({ stage: 'connect', message, sent: false, retryAfterS }))
  return noExchange
}

/** There is no way to the server: its address is no longer allowed, the gateway stops… */
export function noWay(sink: UpstreamSink, cause: unknown): UpstreamExchange {
  const message = cause instanceof GatewayError ? cause.message : 'there is no way to the server'
  const retryAfterS = cause instanceof GatewayError ? cause.retryAfterS : undefined
  const failure = { stage: 'connect', message, sent: false, cause } as const
  queueMicrotask(() => sink.fail(retryAfterS === undefined ? failure : { ...failure, retryAfterS }))
  return noExchange
}
