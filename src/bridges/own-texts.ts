// What a bridge says itself, in the words of an answer or a failure.
import { GatewayError } from '../base/errors.ts'
import { errorResponse, resultResponse, type JsonRpcMessage, type RequestId } from '../wire/json-rpc.ts'
import type { UpstreamFailure, UpstreamMessage } from '../upstreams/upstream.ts'

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
