// Values on their way into a store: checked and brought into one form, so that both engines keep the same thing.
import { GatewayError } from '../base/errors.ts'
import type { SqlValue } from './database.ts'

export const minInt64 = -(2n ** 63n)
export const maxInt64 = 2n ** 63n - 1n

/**
 * The parameters of one query as both engines take them: whole numbers become bigint, NUL characters in text become
 * U+FFFD. Anything that is no SqlValue (undefined, booleans, dates, integers beyond 64 bits) rejects as `internal`.
 */
export function toParameters(values: readonly unknown[]): SqlValue[] {
  return values.map(toParameter)
}

function toParameter(value: unknown): SqlValue {
  if (value === null || value instanceof Uint8Array) return value
  if (typeof value === 'string') return storableText(value)
  if (typeof value === 'bigint' && value >= minInt64 && value <= maxInt64) return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  if (typeof value === 'number' && Number.isFinite(value) && !Number.isInteger(value)) return value
  throw unfit(`a query parameter of type ${typeof value}`)
}

/**
 * Text as both engines keep it: NUL (which PostgreSQL cannot hold) and lone surrogates (which UTF-8 cannot) become
 * U+FFFD. One client's odd character must not fail the batch that it shares with others.
 */
export function storableText(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed()
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', '\uFFFD') : wellFormed
}

/** A value that no column can hold: a mistake of the caller in this program, never of a client. */
export function unfit(what: string): GatewayError {
  return new GatewayError('internal', { cause: new Error(`${what} cannot be stored`) })
}
