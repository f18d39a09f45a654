// Server-sent events as bytes: an incremental parser that keeps every frame as it came, and a safe writer.

/** One event, or a block of comments. All byte ranges are the sender's own bytes. */
export interface SseEvent {
  /** The whole block including the blank line that ends it. */
  readonly raw: Buffer
  /** The payload: the data lines joined by LF. Undefined without a data line, empty for an empty one (priming event). */
  readonly data: Buffer | undefined
  readonly id: string | undefined
  /** The `event` field; undefined means `message`. */
  readonly event: string | undefined
  /** The `retry` field in milliseconds. */
  readonly retryMs: number | undefined
}

const lf = 0x0a
const cr = 0x0d
const colon = 0x3a
const space = 0x20
const empty = Buffer.alloc(0)
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Parses a stream chunk by chunk (WHATWG HTML, 9.2.6 "Interpreting an event stream"; LF, CR and CRLF end lines).
 * An event is handed over as soon as its blank line is complete, so a CR at the end of a chunk does not wait for
 * its LF. An event that lies in one chunk is not copied. What follows the last blank line is never handed over.
 */
export class SseParser {
  readonly #maxEventBytes: number
  readonly #onEvent: (event: SseEvent) => void
  /** Bytes of the event that has begun, where it did not end in its chunk; `#heldBytes` of them are in use. */
  #held: Buffer = empty
  #heldBytes = 0
  #markSeen = false
  /** The last byte of the last chunk was a CR that ended a line. */
  #afterCr = false
  #failed = false

  // State of the current event; offsets count from its first byte.
  #lineStart = 0
  #scanned = 0
  #data: number[] = []
  #id: string | undefined
  #event: string | undefined
  #retryMs: number | undefined

  constructor(maxEventBytes: number, onEvent: (event: SseEvent) => void) {
    this.#maxEventBytes = maxEventBytes
    this.#onEvent = onEvent
  }

  /** True while an event has begun and not ended: a stream that ends now was cut off. */
  get partial(): boolean {
    return this.#heldBytes > 0
  }

  /** Takes the next chunk, which must not be changed later. False once an event is larger than the limit. */
  push(chunk: Buffer): boolean {
    if (this.#failed) return false
    const fresh = this.#skipLeading(chunk)
    if (fresh.length === 0) return true
    const continued = this.#heldBytes > 0
    const buffer = continued ? this.#append(fresh) : fresh
    const start = this.#scanLines(buffer)
    if (this.#failed) return false
    if (start === buffer.length) this.#dropHeld()
    else if (!continued || start > 0) {
      this.#dropHeld()
      this.#append(buffer.subarray(start))
    }
    this.#failed = this.#heldBytes > this.#maxEventBytes
    return !this.#failed
  }

  /** Removes the byte order mark of the stream, and the LF of a CRLF that was split between chunks. */
  #skipLeading(chunk: Buffer): Buffer {
    let fresh = chunk
    if (!this.#markSeen && fresh.length > 0) {
      if (this.#heldBytes > 0) {
        fresh = Buffer.concat([this.#held.subarray(0, this.#heldBytes), chunk])
        this.#dropHeld()
      }
      const length = Math.min(3, fresh.length)
      const matches = fresh.subarray(0, length).equals(byteOrderMark.subarray(0, length))
      if (matches && length < 3) {
        this.#append(fresh)
        return empty
      }
      this.#markSeen = true
      if (matches) fresh = fresh.subarray(3)
    }
    if (this.#afterCr && fresh.length > 0) {
      this.#afterCr = false
      if (fresh[0] === lf) {
        if (this.#heldBytes === 0) return fresh.subarray(1)
        this.#lineStart++
        this.#scanned++
      }
    }
    return fresh
  }

  /** Reads all complete lines; returns where the unfinished event begins. */
  #scanLines(buffer: Buffer): number {
    let start = 0
    let from = this.#scanned
    let nextLf = buffer.indexOf(lf, from)
    let nextCr = buffer.indexOf(cr, from)
    while (nextLf !== -1 || nextCr !== -1) {
      const end = nextCr === -1 || (nextLf !== -1 && nextLf < nextCr) ? nextLf : nextCr
      let next = end + 1
      if (end === nextCr) {
        if (next === buffer.length) this.#afterCr = true
        else if (buffer[next] === lf) next++
      }
      if (end > start + this.#lineStart) {
        this.#readLine(buffer, start, end)
        this.#lineStart = next - start
      } else {
        if (this.#lineStart > 0 && !this.#emit(buffer.subarray(start, next))) return start
        this.#reset()
        start = next
      }
      from = next
      if (nextLf !== -1 && nextLf < from) nextLf = buffer.indexOf(lf, from)
      if (nextCr !== -1 && nextCr < from) nextCr = buffer.indexOf(cr, from)
    }
    this.#scanned = buffer.length - start
    return start
  }

  #readLine(buffer: Buffer, start: number, end: number): void {
    const begin = start + this.#lineStart
    // The longest name is five bytes; anything longer is an unknown field and ignored.
    let nameEnd = begin
    while (nameEnd < end && nameEnd - begin < 6 && buffer[nameEnd] !== colon) nameEnd++
    if (nameEnd === begin || (nameEnd < end && buffer[nameEnd] !== colon)) return
    let value = nameEnd < end ? nameEnd + 1 : end
    if (value < end && buffer[value] === space) value++
    const name = buffer.toString('latin1', begin, nameEnd)
    if (name === 'data') this.#data.push(value - start, end - start)
    else if (name === 'event') this.#event = buffer.toString('utf8', value, end)
    else if (name === 'id') {
      const id = buffer.toString('utf8', value, end)
      if (!id.includes('\0')) this.#id = id
    } else if (name === 'retry') {
      const digits = buffer.toString('latin1', value, end)
      if (/^\d{1,15}$/.test(digits)) this.#retryMs = Number(digits)
    }
  }

  #emit(raw: Buffer): boolean {
    if (raw.length > this.#maxEventBytes) {
      this.#failed = true
      return false
    }
    this.#onEvent({
      raw,
      data: joinData(raw, this.#data),
      id: this.#id,
      event: this.#event,
      retryMs: this.#retryMs,
    })
    return true
  }

  #reset(): void {
    this.#lineStart = 0
    this.#scanned = 0
    this.#id = undefined
    this.#event = undefined
    this.#retryMs = undefined
    if (this.#data.length > 0) this.#data = []
  }

  /** Appends to the held bytes; the space doubles, so that many small chunks cost no more than one large one. */
  #append(bytes: Buffer): Buffer {
    const needed = this.#heldBytes + bytes.length
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#held.length * 2, 1024))
      this.#held.copy(larger, 0, 0, this.#heldBytes)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#heldBytes)
    this.#heldBytes = needed
    return this.#held.subarray(0, needed)
  }

  /** Events handed over may point into the held bytes, so they are let go, never written again. */
  #dropHeld(): void {
    this.#held = empty
    this.#heldBytes = 0
  }
}

function joinData(raw: Buffer, ranges: readonly number[]): Buffer | undefined {
  if (ranges.length === 0) return undefined
  if (ranges.length === 2) return raw.subarray(ranges[0], ranges[1])
  const parts: Buffer[] = []
  for (let i = 0; i < ranges.length; i += 2) {
    if (i > 0) parts.push(lineFeed)
    parts.push(raw.subarray(ranges[i], ranges[i + 1]))
  }
  return Buffer.concat(parts)
}

const lineFeed = Buffer.from('\n')
const dataPrefix = Buffer.from('data: ')
const blankLine = Buffer.from('\n\n')

export interface EventFields {
  /** Any text or UTF-8 bytes; lines are split, so content cannot end the event or add fields. */
  readonly data: string | Uint8Array
  readonly id?: string
  readonly event?: string
}

/**
 * The bytes of one event. Throws a TypeError where id or event holds CR, LF or NUL, since these would let a value
 * write fields of its own.
 */
export function formatEvent(fields: EventFields): Buffer {
  let head = ''
  if (fields.event !== undefined) head += `event: ${singleLine('event', fields.event)}\n`
  if (fields.id !== undefined) head += `id: ${singleLine('id', fields.id)}\n`
  const data =
    typeof fields.data === 'string'
      ? Buffer.from(fields.data)
      : Buffer.from(fields.data.buffer, fields.data.byteOffset, fields.data.byteLength)
  const lead = head === '' ? dataPrefix : Buffer.from(`${head}data: `)
  if (!data.includes(lf) && !data.includes(cr)) return Buffer.concat([lead, data, blankLine])
  const lines = data.toString('latin1').split(/\r\n|\r|\n/)
  return Buffer.concat([lead, Buffer.from(lines.join('\ndata: '), 'latin1'), blankLine])
}

function singleLine(name: string, value: string): string {
  for (const character of ['\r', '\n', '\0'])
    if (value.includes(character)) throw new TypeError(`the ${name} of an event must be one line`)
  return value
}
