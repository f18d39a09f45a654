// From the bytes of a client's message to a message that can be trusted to mean one thing.
import { isUtf8 } from 'node:buffer'
import { GatewayError } from '../base/errors.ts'
import { isObject } from '../base/is-object.ts'
import { scanEnvelope } from './envelope-scan.ts'
import type { JsonRpcMessage } from './json-rpc.ts'

/**
 * Parses one JSON-RPC message. Returns a GatewayError (`parse_error`, `invalid_request`) where the bytes are no JSON,
 * nest too deep, hold keys that parsers read differently, or are no single message.
 */
export function parseMessage(body: Uint8Array, maxDepth: number): JsonRpcMessage | GatewayError {
  // What is no UTF-8 is read differently by each parser, so that the name billed need not be the one that is run.
  if (!isUtf8(body)) return new GatewayError('parse_error')
  const fault = scanEnvelope(body, maxDepth)
  if (fault === 'too-deep') return refused(`The body nests deeper than ${maxDepth} levels.`)
  let message: unknown
  try {
    message = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString())
  } catch {
    return new GatewayError('parse_error')
  }
  if (Array.isArray(message)) return refused('Batches are not accepted; send one message at a time.')
  if (!isObject(message) || message['jsonrpc'] !== '2.0')
    return refused('The body must be one JSON-RPC 2.0 message.')
  if (fault === 'duplicate-key') return refused('A member of the message stands twice.')
  if (fault === 'ambiguous-key')
    return refused('A member of the message differs from a known one only in case.')
  return shapeFault(message) ?? (message as unknown as JsonRpcMessage)
}

const refused = (detail: string): GatewayError => new GatewayError('invalid_request', { detail })

function shapeFault({
  id,
  method,
  params,
  result,
  error,
}: Readonly<Record<string, unknown>>): GatewayError | undefined {
  if (id !== undefined && typeof id !== 'string' && !Number.isSafeInteger(id))
    return refused('The id must be a string or an integer below 2^53.')
  if (method === undefined) {
    const one = (result !== undefined) !== (error !== undefined)
    return one && id !== undefined ? undefined : refused('The message has no method and is no response.')
  }
  if (typeof method !== 'string' || method === '' || method.length > 256)
    return refused('The method must be a name of up to 256 characters.')
  if (params !== undefined && !isObject(params)) return refused('The params must be an object.')
  return undefined
}
