// A refusal as the JSON-RPC error that carries it.
import type { GatewayError } from '../base/errors.ts'
import { errorResponse, type RequestId } from '../wire/json-rpc.ts'

/** The bytes of the error response. `retryAfterS` goes along where no header can say it. */
export function rpcError(error: GatewayError, id: RequestId | null, withRetry = false): Buffer {
  const { code, fields, retryAfterS } = error
  const data = {
    code,
    ...error.data,
    ...(fields.length > 0 && { errors: fields }),
    ...(withRetry && retryAfterS !== undefined && { retryAfterS }),
  }
  return Buffer.from(errorResponse(id, { code: error.rpcCode, message: error.message, data }))
}
