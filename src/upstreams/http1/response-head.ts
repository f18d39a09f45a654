// The head of a response (RFC 9112, sections 4 and 5), read strictly from its bytes: what is doubtful is refused.

/** What `read` returns where it is not the offset after the head. */
export const incomplete = -1
const invalid = -2
export const tooManyFields = -3

const maxFields = 256
/** More digits than any length needs, and fewer than would lose precision. */
const maxLengthDigits = 15

const cr = 0x0d
const lf = 0x0a
const space = 0x20
const tab = 0x09
const colon = 0x3a
const zero = 0x30

/** Bit 1: may stand in a token (RFC 9110, 5.6.2). Bit 2: may stand in a field's value (5.5). */
const kinds = new Uint8Array(256)
const tokenBit = 1
const valueBit = 2
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
  kinds[character.charCodeAt(0)] = tokenBit
for (let byte = 0; byte < 256; byte++)
  if (byte === tab || (byte >= space && byte !== 0x7f)) kinds[byte] = (kinds[byte] ?? 0) | valueBit

export const isTokenByte = (byte: number): boolean => ((kinds[byte] ?? 0) & tokenBit) !== 0
/** Neither CR, LF, NUL nor another control character. */
export const isValueByte = (byte: number): boolean => ((kinds[byte] ?? 0) & valueBit) !== 0

const protocol = Buffer.from('HTTP/1.')
const latin1 = (bytes: Buffer, start: number, end: number): string => bytes.toString('latin1', start, end)

/** Status and the few fields that the gateway acts on. A field that must be single and came twice is told as absent. */
export class ResponseHead {
  /** 100 to 599. */
  status = 0
  contentType: string | undefined = undefined
  /** Several are joined by a comma. */
  contentEncoding: string | undefined = undefined
  sessionId: string | undefined = undefined
  /** Several are joined by a comma. */
  challenge: string | undefined = undefined
  /** The Keep-Alive field as it came (RFC 2068, section 19.7.1). */
  keepAlive: string | undefined = undefined
  /** -1 where none was announced. */
  contentLength = -1
  chunked = false
  /** The connection may carry another exchange, as far as the head says (RFC 9112, 9.3). */
  persistent = true
  /** HTTP/1.0 knows no chunks, and no connection that stays open by itself. */
  #oldest = false
  #contentTypes = 0
  #sessionIds = 0

  /**
   * Reads the head that begins at `start` and must end before `limit`. Returns the offset of the first byte after it,
   * or `incomplete`, `invalid`, `tooManyFields`; only then are the properties without meaning.
   */
  read(bytes: Buffer, start: number, limit: number): number {
    let at = this.#readStatusLine(bytes, start, limit)
    for (let fields = 0; at >= 0; fields++) {
      if (at >= limit) return incomplete
      if (bytes[at] === cr) return this.#readEnd(bytes, at + 1, limit)
      if (fields === maxFields) return tooManyFields
      at = this.#readField(bytes, at, limit)
    }
    return at
  }

  #readStatusLine(bytes: Buffer, start: number, limit: number): number {
    for (let n = 0; n < protocol.length; n++) {
      if (start + n >= limit) return incomplete
      if (bytes[start + n] !== protocol[n]) return invalid
    }
    if (limit - start < 13) return incomplete
    const minor = (bytes[start + 7] ?? 0) - zero
    if ((minor !== 0 && minor !== 1) || bytes[start + 8] !== space) return invalid
    this.#oldest = minor === 0
    this.persistent = !this.#oldest
    this.status = 0
    for (let n = 9; n < 12; n++) {
      const digit = (bytes[start + n] ?? 0) - zero
      if (digit < 0 || digit > 9) return invalid
      this.status = this.status * 10 + digit
    }
    if (this.status < 100 || this.status > 599) return invalid
    let at = start + 12
    // The space before an absent reason is left out by some.
    if (bytes[at] !== space && bytes[at] !== cr) return invalid
    while (at < limit && isValueByte(bytes[at] ?? 0)) at++
    return lineEnd(bytes, at, limit)
  }

  /** A line that begins with a space (obs-fold), or has one before its colon, has no name and is refused (5.1, 5.2). */
  #readField(bytes: Buffer, start: number, limit: number): number {
    let nameEnd = start
    while (nameEnd < limit && isTokenByte(bytes[nameEnd] ?? 0)) nameEnd++
    if (nameEnd >= limit) return incomplete
    if (nameEnd === start || bytes[nameEnd] !== colon) return invalid
    let valueStart = nameEnd + 1
    while (valueStart < limit && (bytes[valueStart] === space || bytes[valueStart] === tab)) valueStart++
    let at = valueStart
    while (at < limit && isValueByte(bytes[at] ?? 0)) at++
    const lineStop = at
    const next = lineEnd(bytes, at, limit)
    if (next < 0) return next
    while (at > valueStart && (bytes[at - 1] === space || bytes[at - 1] === tab)) at--
    const length = nameEnd - start
    // The fields that are kept have names of 10, 12, 14, 16 and 17 bytes.
    if (length < 10 || length > 17 || ((length & 1) === 1 && length !== 17)) return next
    const name = latin1(bytes, start, nameEnd).toLowerCase()
    // Readers differ in what they trim here, so nothing may be trimmed.
    if (name === 'transfer-encoding' && at !== lineStop) return invalid
    return this.#keepField(name, latin1(bytes, valueStart, at)) ? next : invalid
  }

  /** False where the field makes the framing doubtful. */
  #keepField(name: string, value: string): boolean {
    switch (name) {
      case 'content-type':
        this.contentType = ++this.#contentTypes === 1 ? value : undefined
        return true
      case 'mcp-session-id':
        this.sessionId = ++this.#sessionIds === 1 ? value : undefined
        return true
      case 'content-encoding':
        this.contentEncoding =
          this.contentEncoding === undefined ? value : `${this.contentEncoding}, ${value}`
        return true
      case 'www-authenticate':
        this.challenge = this.challenge === undefined ? value : `${this.challenge}, ${value}`
        return true
      case 'keep-alive':
        this.keepAlive = value
        return true
      case 'connection':
        if (
          value !== 'keep-alive' &&
          value
            .toLowerCase()
            .split(/[ \t]*,[ \t]*/)
            .includes('close')
        )
          this.persistent = false
        return true
      case 'content-length':
        return this.#keepLength(value)
      case 'transfer-encoding':
        return this.#keepCoding(value)
      default:
        return true
    }
  }

  /** Once, and digits only: no sign, list, or second value (RFC 9112, 6.3, rule 5; RFC 9110, 8.6). */
  #keepLength(value: string): boolean {
    if (this.contentLength !== -1 || this.chunked) return false
    if (value.length > maxLengthDigits || !/^\d+$/.test(value)) return false
    this.contentLength = Number(value)
    return true
  }

  /** `chunked` alone, once, in HTTP/1.1, without a length beside it (RFC 9112, 6.1 and 6.3, rule 3). */
  #keepCoding(value: string): boolean {
    if (this.contentLength !== -1 || this.chunked || this.#oldest) return false
    if (value.toLowerCase() !== 'chunked') return false
    this.chunked = true
    return true
  }

  #readEnd(bytes: Buffer, at: number, limit: number): number {
    if (at >= limit) return incomplete
    return bytes[at] === lf ? at + 1 : invalid
  }
}

/** The offset after the CRLF that must be here; a bare CR or LF ends no line (RFC 9112, 2.2). */
function lineEnd(bytes: Buffer, at: number, limit: number): number {
  if (at >= limit) return incomplete
  if (bytes[at] !== cr) return invalid
  if (at + 1 >= limit) return incomplete
  return bytes[at + 1] === lf ? at + 2 : invalid
}
