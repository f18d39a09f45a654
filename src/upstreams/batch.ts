// JSON-RPC batches as a server of revision 2025-03-26 may send them: the messages in them, each as its own bytes.

const quote = 0x22
const backslash = 0x5c
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d

/** Whether these bytes can only be a batch, or no message at all. */
export function isBatch(bytes: Buffer): boolean {
  let at = 0
  while (isSpace(bytes[at])) at++
  return bytes[at] === openBracket
}

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

/** Where the string that begins here ends; the end of the bytes where it does not. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === backslash) at++
    else if (bytes[at] === quote) return at
  }
  return bytes.length
}

function isBlank(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (!isSpace(bytes[at])) return false
  return true
}
