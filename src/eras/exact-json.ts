// Messages that have to be written again, with every number as its sender wrote it.
import type { JsonRpcMessage } from '../wire/json-rpc.ts'

interface RawJson {
  rawJSON(text: string): unknown
}

/** A number that a JavaScript number may not give back as it was: long, with a fraction or exponent, or minus zero. */
const fragileNumber = /[[:,\s]-?(?:\d+[.eE]|\d{16}|(?<=-)0)/

/**
 * The message for `JSON.stringify`: 12345678901234567890 and 1.0 stay what they are, where an ordinary parse would
 * round the one and shorten the other. To be written only, not read: such numbers are opaque objects in it. Returns
 * `message` itself where `bytes`, from which it was parsed, hold no such number.
 */
export function exactly(message: JsonRpcMessage, bytes: Uint8Array): JsonRpcMessage {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  if (!fragileNumber.test(text)) return message
  // The third argument and rawJSON are ECMAScript's "JSON.parse source text access".
  const keep = (_: string, value: unknown, context?: { readonly source?: string }): unknown => {
    const source = context?.source
    if (typeof value !== 'number' || source === undefined || source === JSON.stringify(value)) return value
    return (JSON as unknown as RawJson).rawJSON(source)
  }
  return JSON.parse(text, keep) as JsonRpcMessage
}
