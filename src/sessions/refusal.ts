// The gateway's own answers to a call: a tool result that a model can act on, or a JSON-RPC error.
import { GatewayError } from '../base/errors.ts'
import { ConsentNeeded } from '../upstreams/oauth/authorization-server.ts'
import type { UpstreamFailure } from '../upstreams/upstream.ts'
import { errorResponse, resultResponse, type JsonRpcRequest } from '../wire/json-rpc.ts'
import type { Era } from '../wire/protocol-version.ts'
import { denied, type Charge } from './charge.ts'
import { asksForPayment } from './payment-answers.ts'
import type { Reply } from './reply.ts'

export interface RefusalAnswer {
  readonly status: number
  readonly text: string
}

/** Codes that a model can act on, so that a tool call is answered by a tool result. */
const actionable = new Set([
  'balance_exhausted',
  'budget_exhausted',
  'quota_exhausted',
  'payment_invalid',
  'payment_used',
  'payment_failed',
  'payment_unavailable',
  'rate_limited',
  'tool_held',
  'authorization_required',
  'arguments_denied',
  'upstream_unavailable',
  'upstream_timeout',
  'store_unavailable',
  'server_inactive',
  'shutting_down',
  'overloaded',
])

/**
 * The answer to a refused request. A `tools/call` gets a result with `isError: true`, one sentence and
 * `structuredContent {code, message, …}`; any other method gets a JSON-RPC error under the matching HTTP status.
 */
export function refusalAnswer(request: JsonRpcRequest, error: GatewayError, era: Era): RefusalAnswer {
  const data = { ...error.data, ...(error.retryAfterS !== undefined && { retryAfterS: error.retryAfterS }) }
  if (request.method === 'tools/call' && actionable.has(error.code)) {
    const structuredContent = { code: error.code, message: error.message, ...data }
    // x402 version 2, transport MCP: what may be paid is there twice, for clients that read text only.
    const text = asksForPayment(error) ? JSON.stringify(structuredContent) : error.message
    const result = {
      ...(era === 'modern' && { resultType: 'complete' }),
      content: [{ type: 'text', text }],
      structuredContent,
      isError: true,
    }
    return { status: 200, text: resultResponse(request.id, result) }
  }
  const body = { code: error.rpcCode, message: error.message, data: { code: error.code, ...data } }
  return { status: error.status, text: errorResponse(request.id, body) }
}

/** What the caller is told of a server that broke off, could not be reached, or was not even tried. */
export function failureError(failure: UpstreamFailure): GatewayError {
  if (failure.cause instanceof ConsentNeeded) return new GatewayError('authorization_required')
  const { tooLarge, retryAfterS } = failure
  const detail = tooLarge
    ? 'The answer of the MCP server is larger than this gateway accepts; ask for less.'
    : retryAfterS !== undefined && `The MCP server is in trouble; it is tried again in ${retryAfterS} s.`
  const retry = retryAfterS !== undefined && { retryAfterS }
  return new GatewayError('upstream_unavailable', { cause: failure, ...(detail && { detail }), ...retry })
}

/** Records that a call was denied, and then tells of it, or of why it could not be recorded. */
export function settleDenied(charge: Charge, why: GatewayError, tell: (error: GatewayError) => void): void {
  charge.settle(denied(why), (failure) => tell(failure ?? why))
}

/** Records the refusal of a message that gets no JSON-RPC answer, and then says so. */
export function refuseRecorded(charge: Charge, refusal: GatewayError, reply: Reply): void {
  charge.settle(denied(refusal), (failure) =>
    failure ? reply.refuse(failure) : reply.refuse(refusal, charge.callId),
  )
}

/** Answers a request for what its caller is not to know of, free of charge, in the words of what is not there. */
export function refuseUnknown(charge: Charge, reply: Reply, text: string): void {
  const error = new GatewayError('not_found')
  charge.settle(denied(error), (failure) => {
    if (failure) reply.refuse(failure)
    else reply.final({ status: 200, bytes: Buffer.from(text), callId: charge.callId, cost: '0' })
  })
}
