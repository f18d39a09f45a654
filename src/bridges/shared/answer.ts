// Answers that a shared session gives by itself, or for a question that it asked in a tenant's stead.
import type { Json } from '../../eras/json-object.ts'
import type { UpstreamFailure } from '../../upstreams/upstream.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'

/** `message` has the id of whoever was asked; the tenant's takes its place. Without one there is only the status. */
export type OwnAnswer =
  | { readonly message: JsonRpcMessage | undefined; readonly status: number }
  | { readonly failure: UpstreamFailure }

export const success = (result: Json): OwnAnswer => ({ message: { jsonrpc: '2.0', result }, status: 200 })

export const refusal = (code: number, message: string): OwnAnswer => ({
  message: { jsonrpc: '2.0', error: { code, message } },
  status: 200,
})

/** The empty result of whatever has no other one. */
export const done = success({})

export const isDone = (answer: OwnAnswer): boolean =>
  'message' in answer && answer.message?.result !== undefined
