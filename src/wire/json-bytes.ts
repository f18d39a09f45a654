// Finding one's way in the bytes of JSON text without parsing it.

export const quote = 0x22
export const comma = 0x2c
export const colon = 0x3a
const backslash = 0x5c
export const openBracket = 0x5b
export const closeBracket = 0x5d
export const openBrace = 0x7b
export const closeBrace = 0x7d

/** Index of the quote that ends the string that begins at `start`; the end of the bytes where there is none. */
export function endOfString(bytes: Uint8Array, start: number): number {
  for (let end = bytes.indexOf(quote, start + 1); end >= 0; end = bytes.indexOf(quote, end + 1)) {
    let slashes = 0
    while (bytes[end - 1 - slashes] === backslash) slashes++
    if (slashes % 2 === 0) return end
  }
  return bytes.length
}

/** Index of the first byte from here on that is no white space; the end of the bytes where there is none. */
export function nextSignificant(bytes: Uint8Array, from: number): number {
  let at = from
  while (isSpace(bytes[at])) at++
  return at
}

const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d

/** Whether nothing but white space follows. */
export const isBlank = (bytes: Uint8Array, from: number): boolean =>
  nextSignificant(bytes, from) === bytes.length
