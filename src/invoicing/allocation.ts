// Rounding an invoice: the exact total once, and its parts so that they add up to it. Pure.
import { ledgerScale, rescale } from '../base/money.ts'
import { findExponent } from '../pricing/currency.ts'

export interface Part {
  /** Breaks ties; unique among the parts. */
  readonly key: string
  /** Nano-units. */
  readonly exact: bigint
}

/** Decimals of the currency's minor unit. */
export const exponentOf = (currency: string): number => findExponent(currency) ?? 2

/** Nano-units in one minor unit. */
const unitOf = (currency: string): bigint => 10n ** BigInt(ledgerScale - exponentOf(currency))

/** An amount rounded at the currency's exponent, half away from zero; nano-units in and out. */
export function roundAmount(exact: bigint, currency: string): bigint {
  return rescale(exact, ledgerScale, exponentOf(currency)) * unitOf(currency)
}

/**
 * The parts rounded at the currency's exponent, in the order given, so that they sum to their rounded sum: each is
 * rounded down, and what is missing goes to the largest remainders, one minor unit each; of equal ones, to the smaller
 * key. So the result of a part does not depend on the order.
 */
export function allocate(parts: readonly Part[], currency: string): bigint[] {
  const unit = unitOf(currency)
  const total = parts.reduce((sum, part) => sum + part.exact, 0n)
  const shares = parts.map((part) => ({ ...part, down: floorDivide(part.exact, unit) }))
  const missing = roundAmount(total, currency) / unit - shares.reduce((sum, share) => sum + share.down, 0n)
  const remainder = (share: { exact: bigint; down: bigint }): bigint => share.exact - share.down * unit
  const lucky = new Set(
    shares
      .toSorted((a, b) => compare(remainder(b), remainder(a)) || compare(a.key, b.key))
      .slice(0, Number(missing))
      .map(({ key }) => key),
  )
  return shares.map(({ key, down }) => (down + (lucky.has(key) ? 1n : 0n)) * unit)
}

function floorDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor
  return dividend % divisor < 0n ? quotient - 1n : quotient
}

function compare<T extends bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}
