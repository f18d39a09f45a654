// JSON-RPC batches, which revision 2025-03-26 alone has: the messages of an array, each as its own bytes.
import {
  closeBrace,
  closeBracket,
  comma,
  endOfString,
  isBlank,
  nextSignificant,
  openBrace,
  openBracket,
  quote,
} from './json-bytes.ts'

/** Whether these bytes can only be a batch, or no message at all. */
export const isBatch = (bytes: Uint8Array): boolean => bytes[nextSignificant(bytes, 0)] === openBracket

/**
 * The bytes of each object of a batch, in order; what stands inside of an object is not judged. `malformed` where the
 * bytes are not one array of objects with nothing around it, `too-many` where there are more than `maxMessages`.
 */
export function splitBatch(bytes: Uint8Array, maxMessages: number): Uint8Array[] | 'malformed' | 'too-many' {
  const messages: Uint8Array[] = []
  let at = nextSignificant(bytes, 0)
  if (bytes[at] !== openBracket) return 'malformed'
  at = nextSignificant(bytes, at + 1)
  if (bytes[at] === closeBracket) return isBlank(bytes, at + 1) ? messages : 'malformed'
  for (;;) {
    if (bytes[at] !== openBrace) return 'malformed'
    const end = endOfObject(bytes, at)
    if (end < 0) return 'malformed'
    if (messages.length === maxMessages) return 'too-many'
    messages.push(bytes.subarray(at, end))
    at = nextSignificant(bytes, end)
    if (bytes[at] === closeBracket) return isBlank(bytes, at + 1) ? messages : 'malformed'
    if (bytes[at] !== comma) return 'malformed'
    at = nextSignificant(bytes, at + 1)
  }
}

/** Index behind the brace that closes the object that begins at `start`; -1 where there is none. */
function endOfObject(bytes: Uint8Array, start: number): number {
  let depth = 0
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) at = endOfString(bytes, at)
    else if (byte === openBrace || byte === openBracket) depth++
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0)
      return byte === closeBrace ? at + 1 : -1
  }
  return -1
}
