// Reads one JSON-RPC message from a server's bytes, trusting nothing about its shape.
import { isObject } from '../base/is-object.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'

/**
 * The message in these bytes, or undefined where they are not one JSON-RPC 2.0 message: not JSON, an array, or an
 * object whose `id`, `method`, `params`, `result` or `error` is of another type than JSON-RPC and MCP allow.
 */
export function parseMessage(bytes: Buffer): JsonRpcMessage | undefined {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
  return isMessage(value) ? value : undefined
}

const isOptionalObject = (value: unknown): boolean => value === undefined || isObject(value)

function isMessage(value: unknown): value is JsonRpcMessage {
  if (!isObject(value) || value.jsonrpc !== '2.0') return false
  const { id, method, params, result, error } = value
  if (id !== undefined && id !== null && typeof id !== 'string' && typeof id !== 'number') return false
  if (method !== undefined && typeof method !== 'string') return false
  if (!isOptionalObject(params) || !isOptionalObject(result)) return false
  if (error === undefined) return true
  return isObject(error) && typeof error.code === 'number' && typeof error.message === 'string'
}
