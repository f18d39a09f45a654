// JSON-RPC batches as a server of revision 2025-03-26 may send them: the messages in them, each as its own bytes.
import {
  closeBrace,
  closeBracket,
  endOfString,
  isBlank,
  openBrace,
  openBracket,
  quote,
} from '../wire/json-bytes.ts'

/**
 * Hands over the bytes of each object of a batch, in order. What is no object is skipped, as is everything where the
 * brackets do not match. False where there are more than `maxMessages`; then none is handed over.
 */
export function splitBatch(bytes: Buffer, maxMessages: number, onMessage: (bytes: Buffer) => void): boolean {
  const bounds: number[] = []
  let depth = 0
  let start = -1
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) at = endOfString(bytes, at)
    else if (byte === openBrace || byte === openBracket) {
      if (depth === 1) start = byte === openBrace ? at : -1
      depth++
    } else if (byte === closeBrace || byte === closeBracket) {
      depth--
      if (depth === 0 && !isBlank(bytes, at + 1)) return true
      if (depth !== 1 || start === -1) continue
      bounds.push(start, at + 1)
      if (bounds.length > maxMessages * 2) return false
    }
  }
  if (depth !== 0) return true
  for (let at = 0; at < bounds.length; at += 2) onMessage(bytes.subarray(bounds[at], bounds[at + 1]))
  return true
}
