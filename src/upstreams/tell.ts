// Messages of the gateway's own whose answers nobody needs.
import type { JsonRpcMessage, RequestId } from '../wire/json-rpc.ts'
import type { Upstream, UpstreamExchange, UpstreamSink } from './upstream.ts'

const nothing = (): void => {}

/** Takes an answer that nobody needs. */
export const unheard: UpstreamSink = { head: nothing, message: nothing, end: nothing, fail: nothing }

/** How long a server may take for an answer that nobody needs; then its connection is wanted back. */
const silentMs = 5000

/** Sends a message and waits for nothing. */
export function tell(
  upstream: Upstream,
  message: JsonRpcMessage,
  headers: Readonly<Record<string, string>> = {},
): UpstreamExchange {
  const done = (): void => clearTimeout(timer)
  const sink = { ...unheard, end: done, fail: done }
  const exchange = upstream.send({ body: Buffer.from(JSON.stringify(message)), message, headers }, sink)
  const timer = setTimeout(() => exchange.abort(), silentMs)
  timer.unref()
  return exchange
}

/** Tells a connection that several requests share that nobody waits for this one any more; elsewhere the closed stream says it. */
export function cancelAt(way: Upstream, requestId: RequestId | null | undefined): void {
  if (way.multiplexed) tell(way, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } })
}
