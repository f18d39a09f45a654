// Reads responses from any split of their bytes (RFC 9112): where a body ends is never a matter of opinion.
import { incomplete, isTokenByte, isValueByte, ResponseHead, tooManyFields } from './response-head.ts'

/** Hears one response: its head, its body in pieces, its end. */
export interface ResponseEvents {
  onHead(head: ResponseHead): void
  /** The body's next bytes are `chunk` from `start` to `end`; the chunk may be written over afterwards. */
  onBody(chunk: Buffer, start: number, end: number): void
  /** `reusable`: the response was delimited, wants no close, and nothing came after it. */
  onEnd(reusable: boolean): void
}

export type ParserFault = 'invalid_http' | 'head_too_large'

const maxHeadBytes = 64 * 1024
const maxInformational = 16
/** Of all chunk sizes of one response together. */
const maxExtensionBytes = 16 * 1024
const maxTrailerBytes = 16 * 1024
/** 2^48 at most, so that counting stays exact. */
const maxSizeDigits = 12

const cr = 0x0d
const lf = 0x0a
const colon = 0x3a
const semicolon = 0x3b
const headEnd = Buffer.from('\r\n\r\n')
const empty = Buffer.alloc(0)

// What is expected next.
const idle = 0
const head = 1
const sizedBody = 2
const bodyUntilClose = 3
const chunkSize = 4
const chunkExtension = 5
const chunkSizeLf = 6
const chunkData = 7
const chunkDataCr = 8
const chunkDataLf = 9
const trailerStart = 10
const trailerName = 11
const trailerValue = 12
const trailerLf = 13
const lastLf = 14
const failed = 15

/** One for each connection. `expect` before each response, then `push` what arrives, and `finish` at its end. */
export class ResponseParser {
  readonly #events: ResponseEvents
  #state = idle
  #fault: ParserFault = 'invalid_http'
  /** The beginning of a head that did not come whole. */
  #held: Buffer | undefined
  #heldBytes = 0
  #informational = 0
  #persistent = false
  /** Bytes left of the sized body or chunk. */
  #left = 0
  #sizeDigits = 0
  #extensionBytes = 0
  #trailerBytes = 0

  constructor(events: ResponseEvents) {
    this.#events = events
  }

  /** What was wrong, once `push` has returned false. */
  get fault(): ParserFault {
    return this.#fault
  }

  /** A response is due. */
  expect(): void {
    this.#state = head
    this.#informational = 0
  }

  /** Nobody listens any more; may be called from inside an event. */
  stop(): void {
    this.#state = idle
    this.#held = undefined
  }

  /** Takes the next bytes. False where they are not what a response may be; nothing is told of them then. */
  push(chunk: Buffer): boolean {
    let at = 0
    const { length } = chunk
    while (at < length && this.#state !== idle) {
      if (this.#state === head) at = this.#readHead(chunk, at)
      else if (this.#state === sizedBody) at = this.#readBody(chunk, at)
      else if (this.#state === bodyUntilClose) {
        this.#events.onBody(chunk, at, length)
        at = length
      } else if (this.#state === chunkData) at = this.#readBody(chunk, at)
      else at = this.#readFraming(chunk, at)
      if (this.#state === failed) return false
    }
    return true
  }

  /** The peer has closed. True where that ends the response well, `onEnd` included; else `isShort` says more. */
  finish(): boolean {
    if (this.#state !== bodyUntilClose) return false
    this.#state = idle
    this.#events.onEnd(false)
    return true
  }

  /** An announced length has not been reached. */
  get isShort(): boolean {
    return this.#state === sizedBody
  }

  #fail(fault: ParserFault, at: number): number {
    this.#fault = fault
    this.#state = failed
    this.#held = undefined
    return at
  }

  #readHead(chunk: Buffer, at: number): number {
    if (this.#held) return this.#readHeldHead(chunk)
    const fresh = new ResponseHead()
    const next = fresh.read(chunk, at, chunk.length)
    if (next !== incomplete) return this.#takeHead(fresh, chunk, next, next - at)
    this.#held = empty
    this.#heldBytes = 0
    return this.#hold(chunk, at)
  }

  /** The head is read again only when its last line is here, so that one that drips in costs no more than others. */
  #readHeldHead(chunk: Buffer): number {
    const before = this.#heldBytes
    const next = this.#hold(chunk, 0)
    const bytes = this.#held?.subarray(0, this.#heldBytes)
    if (!bytes || bytes.indexOf(headEnd, Math.max(0, before - 3)) === -1) return next
    this.#held = undefined
    const whole = new ResponseHead()
    const end = whole.read(bytes, 0, bytes.length)
    return this.#takeHead(whole, chunk, end < 0 ? end : end - before, end)
  }

  #hold(chunk: Buffer, at: number): number {
    const needed = this.#heldBytes + chunk.length - at
    let held = this.#held ?? empty
    // The end of the head may be in these bytes, so up to one chunk more is held before it is found out.
    if (this.#heldBytes > maxHeadBytes) return this.#fail('head_too_large', at)
    if (needed > held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, held.length * 2))
      held.copy(larger, 0, 0, this.#heldBytes)
      held = larger
    }
    chunk.copy(held, this.#heldBytes, at)
    this.#held = held
    this.#heldBytes = needed
    return chunk.length
  }

  /** `next`: where the head ended in this chunk, or why it did not; `bytes`: how long it was. */
  #takeHead(taken: ResponseHead, chunk: Buffer, next: number, bytes: number): number {
    if (next === tooManyFields || bytes > maxHeadBytes) return this.#fail('head_too_large', 0)
    if (next < 0) return this.#fail('invalid_http', 0)
    const { status } = taken
    if (status < 200) {
      // Nobody has asked for an upgrade, nobody needs more than a few of the others, and each promises one more.
      const expected = status !== 101 && taken.persistent && ++this.#informational <= maxInformational
      return expected ? next : this.#fail('invalid_http', next)
    }
    this.#persistent = taken.persistent
    const bodiless = status === 204 || status === 304
    const empty = bodiless || (taken.contentLength === 0 && !taken.chunked)
    this.#left = taken.contentLength
    this.#extensionBytes = 0
    this.#trailerBytes = 0
    if (taken.chunked) this.#startChunk()
    else this.#state = taken.contentLength === -1 ? bodyUntilClose : sizedBody
    // A body that must not be there may be there all the same.
    if (bodiless && taken.chunked) this.#persistent = false
    this.#events.onHead(taken)
    return empty ? this.#end(chunk, next) : next
  }

  #startChunk(): void {
    this.#state = chunkSize
    this.#left = 0
    this.#sizeDigits = 0
  }

  #readBody(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#left)
    this.#left -= end - at
    const wasSized = this.#state === sizedBody
    if (this.#left === 0 && !wasSized) this.#state = chunkDataCr
    this.#events.onBody(chunk, at, end)
    return this.#left === 0 && wasSized ? this.#end(chunk, end) : end
  }

  #end(chunk: Buffer, next: number): number {
    // The last event may have stopped us.
    if (this.#state === idle) return next
    this.#state = idle
    this.#events.onEnd(this.#persistent && next === chunk.length)
    return chunk.length
  }

  /** The bytes between the chunks, and after the last one (RFC 9112, 7.1). */
  #readFraming(chunk: Buffer, start: number): number {
    let at = start
    while (at < chunk.length && this.#state !== chunkData) {
      const byte = chunk[at++] ?? 0
      if (this.#state === lastLf) return byte === lf ? this.#end(chunk, at) : this.#fail('invalid_http', at)
      if (!(this.#state < trailerStart ? this.#acceptInChunks(byte) : this.#acceptInTrailer(byte)))
        return this.#fail('invalid_http', at)
    }
    return at
  }

  #acceptInChunks(byte: number): boolean {
    switch (this.#state) {
      case chunkSize:
        return this.#acceptInSize(byte)
      case chunkExtension:
        if (byte === cr) this.#state = chunkSizeLf
        else if (!isValueByte(byte) || ++this.#extensionBytes > maxExtensionBytes) return false
        return true
      case chunkSizeLf:
        this.#state = this.#left === 0 ? trailerStart : chunkData
        return byte === lf
      case chunkDataCr:
        this.#state = chunkDataLf
        return byte === cr
      default:
        this.#startChunk()
        return byte === lf
    }
  }

  /** Hexadecimal digits, no sign, no space (7.1); what two readers count differently hides a second response. */
  #acceptInSize(byte: number): boolean {
    const digit = hexValue(byte)
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit
      return ++this.#sizeDigits <= maxSizeDigits
    }
    if (byte === cr) this.#state = chunkSizeLf
    else if (byte === semicolon) this.#state = chunkExtension
    else return false
    return this.#sizeDigits > 0
  }

  /** Trailer fields are read to be dropped (7.1.2). */
  #acceptInTrailer(byte: number): boolean {
    if (++this.#trailerBytes > maxTrailerBytes) return false
    switch (this.#state) {
      case trailerStart:
        this.#state = byte === cr ? lastLf : trailerName
        return byte === cr || isTokenByte(byte)
      case trailerName:
        if (byte === colon) this.#state = trailerValue
        return byte === colon || isTokenByte(byte)
      case trailerValue:
        if (byte === cr) this.#state = trailerLf
        return byte === cr || isValueByte(byte)
      default:
        this.#state = trailerStart
        return byte === lf
    }
  }
}

/** -1 where the byte is no hexadecimal digit. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
