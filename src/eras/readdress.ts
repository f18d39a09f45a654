// Messages of several callers over one session with a server: ids and progress tokens replaced on the way, and put back.
import { isObject } from '../base/is-object.ts'
import type { JsonRpcMessage, JsonRpcRequest, RequestId } from '../wire/json-rpc.ts'
import { exactly } from './exact-json.ts'
import { withoutMeta, type Json } from './json-object.ts'

/** A message, and the same as bytes. */
export interface Written {
  readonly message: JsonRpcMessage
  readonly bytes: Uint8Array
}

/** What a request goes by at its caller. */
export interface Address {
  readonly id: RequestId
  /** The id as its caller wrote it, for `JSON.stringify`: a number too long for JavaScript is given back unrounded. */
  readonly writtenId: unknown
  /** Undefined where the caller asked for no progress. */
  readonly token: RequestId | undefined
  readonly writtenToken: unknown
}

/** A request under an id of the gateway's own, which is its progress token too where it asks for progress. */
export function readdressRequest(
  request: JsonRpcRequest,
  bytes: Uint8Array,
  ownId: number,
): Written & { readonly address: Address } {
  const exact = exactly(request, bytes)
  const address = addressOf(request, exact)
  const { token } = address
  const change = (message: JsonRpcMessage): JsonRpcMessage => {
    const { params } = message
    if (!params || token === undefined) return { ...message, id: ownId }
    const meta = { ...(params['_meta'] as Json), progressToken: ownId }
    return { ...message, id: ownId, params: { ...params, _meta: meta } }
  }
  const message = change(request)
  return { message, bytes: encode(exact === request ? message : change(exact)), address }
}

/** What a request goes by that is answered without the server. */
export const readAddress = (request: JsonRpcRequest, bytes: Uint8Array): Address =>
  addressOf(request, exactly(request, bytes))

/** An answer of the server under its caller's own id; `result` stands for the server's where it is given. */
export function readdressAnswer(answer: Written, address: Address, result?: Json): Written {
  const exact = exactly(answer.message, answer.bytes)
  const change = (message: JsonRpcMessage, id: unknown): JsonRpcMessage => ({
    ...message,
    id: id as RequestId,
    ...(result && { result }),
  })
  return {
    message: change(answer.message, address.id),
    bytes: encode(change(exact, address.writtenId)),
  }
}

/** A progress notification of the server under its caller's own token. */
export function readdressProgress(progress: Written, { token, writtenToken }: Address): Written {
  const exact = exactly(progress.message, progress.bytes)
  const change = (message: JsonRpcMessage, progressToken: unknown): JsonRpcMessage => ({
    ...message,
    params: { ...message.params, progressToken },
  })
  return { message: change(progress.message, token), bytes: encode(change(exact, writtenToken)) }
}

/** A caller's `notifications/cancelled` for the request that the server knows by `ownId`. */
export const readdressCancellation = (cancelled: JsonRpcMessage, ownId: number): JsonRpcMessage => ({
  ...cancelled,
  params: { ...cancelled.params, requestId: ownId },
})

/** The params of a request that the gateway sends as its own for one or more callers. */
export const withoutToken = (params: Json): Json => withoutMeta(params, 'progressToken')

/** A message of the gateway's own. */
export const written = (message: JsonRpcMessage): Written => ({ message, bytes: encode(message) })

const encode = (message: JsonRpcMessage): Uint8Array => Buffer.from(JSON.stringify(message))

const addressOf = (request: JsonRpcRequest, exact: JsonRpcMessage): Address => ({
  id: request.id,
  writtenId: exact.id,
  token: asToken(tokenOf(request)),
  writtenToken: tokenOf(exact),
})

function tokenOf(request: JsonRpcMessage): unknown {
  const meta = request.params?.['_meta']
  return isObject(meta) ? meta['progressToken'] : undefined
}

const asToken = (token: unknown): RequestId | undefined =>
  typeof token === 'string' || typeof token === 'number' ? token : undefined
