// JSON-RPC 2.0 messages as MCP uses them: shapes, telling them apart, and making errors.

export type RequestId = string | number

/** A parsed message. Unknown members are kept by forwarding the original bytes, so only what we read is typed. */
export interface JsonRpcMessage {
  readonly jsonrpc: '2.0'
  readonly id?: RequestId | null
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: JsonRpcError
}

export interface JsonRpcError {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

export interface JsonRpcRequest extends JsonRpcMessage {
  readonly id: RequestId
  readonly method: string
}

/** A request expects an answer: it has a method and an id. */
export const isRequest = (message: JsonRpcMessage): message is JsonRpcRequest =>
  message.method !== undefined && message.id !== undefined && message.id !== null

/** A notification has a method and no id. */
export const isNotification = (message: JsonRpcMessage): boolean =>
  message.method !== undefined && (message.id === undefined || message.id === null)

/** An answer has a result or an error and no method. */
export const isResponse = (message: JsonRpcMessage): boolean =>
  message.method === undefined && (message.result !== undefined || message.error !== undefined)

/** The text of an error response; `id` is null where the request's id could not be read (JSON-RPC 2.0, section 5). */
export function errorResponse(id: RequestId | null, error: JsonRpcError): string {
  return JSON.stringify({ jsonrpc: '2.0', id, error })
}

/** The text of a result response. */
export function resultResponse(id: RequestId, result: object): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result })
}
