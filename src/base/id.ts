// Identifiers: sortable prefixed ids for everything, 63-bit call ids for records, random tokens for secrets.
import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from './clock.ts'

const crockford = '0123456789abcdefghjkmnpqrstvwxyz'

/** Prefixes of the contract; an id is `prefix_` and 26 characters of lower-case Crockford base 32. */
export type IdPrefix =
  | 'usr'
  | 'acc'
  | 'key'
  | 'srv'
  | 'bnd'
  | 'ses'
  | 'rul'
  | 'drf'
  | 'bud'
  | 'grt'
  | 'adj'
  | 'inv'
  | 'crn'
  | 'req'
  | 'rft'
  | 'evt'
  | 'inc'
  | 'lim'
  | 'acr'
  | 'whk'
  | 'ogr'
  | 'ocl'
  | 'aud'
  | 'idn'
  | 'psk'

/** A new id: 48 bits of milliseconds, then 80 random bits, so ids sort by the time they were made (ULID layout). */
export function newId(prefix: IdPrefix, nowMs: number = Date.now()): string {
  return `${prefix}_${timePart(nowMs)}${base32(randomBytes(10))}`
}

/** An id that follows from `seed`: whoever makes it again makes the same. */
export function derivedId(prefix: IdPrefix, timeMs: number, seed: string): string {
  return `${prefix}_${timePart(timeMs)}${base32(createHash('sha256').update(seed).digest().subarray(0, 10))}`
}

function timePart(timeMs: number): string {
  let time = ''
  for (let rest = timeMs, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = crockford[rest % 32] + time
  return time
}

function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += crockford[(value >>> bits) & 31]
    }
    value &= (1 << bits) - 1
  }
  return bits > 0 ? text + crockford[(value << (5 - bits)) & 31] : text
}

/** An unguessable URL-safe token of `bytes` random bytes (24 bytes: 32 characters, 192 bits). */
export function randomToken(bytes = 24): string {
  return randomBytes(bytes).toString('base64url')
}

/**
 * Call ids: 63-bit integers that grow with time and are unique per node, so they are the records' primary key
 * and their time index at once. 41 bits of milliseconds since 2024, 8 bits of node, 14 bits of counter.
 */
export class CallIds {
  static readonly epochMs = Date.UTC(2024, 0, 1)
  #last: bigint
  readonly #clock: Clock
  readonly #node: bigint

  /** `last` is the newest id in the store: a clock set back never makes an id twice. */
  constructor(clock: Clock, options: { node?: number; last?: bigint } = {}) {
    this.#clock = clock
    this.#node = BigInt(options.node ?? 0)
    this.#last = options.last ?? 0n
  }

  next(): bigint {
    const fresh = CallIds.firstAt(this.#clock.now()) | (this.#node << 14n)
    if (fresh > this.#last) this.#last = fresh
    else if ((this.#last & 0x3fffn) < 0x3fffn) this.#last += 1n
    else this.#last = (((this.#last >> 22n) + 1n) << 22n) | (this.#node << 14n)
    return this.#last
  }

  /** The newest id that was made, or known at the start. */
  get last(): bigint {
    return this.#last
  }

  /** The smallest id that a call arriving at this time can have; bounds of a time range over records. */
  static firstAt(timeMs: number): bigint {
    return BigInt(Math.max(0, Math.floor(timeMs) - CallIds.epochMs)) << 22n
  }

  static timeMs(id: bigint): number {
    return Number(id >> 22n) + CallIds.epochMs
  }
}

/** `use_` and 13 base-32 characters; sorts as the number does. */
export function formatCallId(id: bigint): string {
  let text = ''
  for (let rest = id, i = 0; i < 13; i++, rest >>= 5n) text = crockford[Number(rest & 31n)] + text
  return `use_${text}`
}

/** The number behind a record's id, or undefined where the text is none. */
export function parseCallId(text: string): bigint | undefined {
  if (!/^use_[0-9a-hjkmnp-tv-z]{13}$/.test(text)) return undefined
  let id = 0n
  for (const character of text.slice(4)) id = (id << 5n) | BigInt(crockford.indexOf(character))
  return id < 1n << 63n ? id : undefined
}
