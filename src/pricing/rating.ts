// Rating: a price and the quantities of one call become an exact amount; rounded once, to the ledger's scale.
import { assert } from '../base/errors.ts'
import {
  divideRounded,
  formatAmount,
  formatDecimal,
  ledgerScale,
  parseDecimal,
  rateScale,
} from '../base/money.ts'
import type { Price, Quantities } from './price.ts'

/** A price read once: rates with 12 decimals as bigint. Zero where the price has no such component. */
export interface Rates {
  readonly perCall: bigint
  readonly perKb: bigint
  readonly perSecond: bigint
  readonly minimum: bigint
  /** Undefined where one call has no upper bound of its own. */
  readonly maximum: bigint | undefined
}

/** Quantities with 12 decimals as bigint; bytes / 1024 and microseconds / 10^6 are exact at this scale. */
export interface ScaledQuantities {
  readonly calls: bigint
  readonly kb: bigint
  readonly seconds: bigint
}

export type Component = 'perCall' | 'perKb' | 'perSecond' | 'minimum' | 'maximum' | 'rounding'

/**
 * One part of an amount, as exact decimal strings. `minimum`, `maximum` and `rounding` are differences onto the
 * lines before them (`maximum` is negative) and have no unit price; the lines always sum to the amount.
 */
export interface PriceLine {
  readonly component: Component
  readonly quantity: string
  readonly unitPrice?: string
  readonly amount: string
}

/** What one call can cost at most: the caps that the gateway enforces on it. */
export interface CallCaps {
  readonly requestBytes: number
  readonly responseBytes: number
  readonly durationUs: number
}

/** Decimals of a rate times a quantity. */
export const exactScale = 2 * rateScale
const one = 10n ** BigInt(rateScale)
/** 10^12 / 1024, a whole number: a byte as KB with 12 decimals. */
const kbPerByte = one / 1024n
const secondsPerUs = one / 1_000_000n
const exactPerNano = 10n ** BigInt(exactScale - ledgerScale)

/** Reads a valid price (see `priceInput`) into rates. */
export function compilePrice(price: Price): Rates {
  return {
    perCall: readRate(price.perCall),
    perKb: readRate(price.perKb),
    perSecond: readRate(price.perSecond),
    minimum: readRate(price.minimum),
    maximum: price.maximum === undefined ? undefined : readRate(price.maximum),
  }
}

function readRate(text = '0'): bigint {
  const rate = parseDecimal(text, rateScale)
  assert(rate !== undefined && rate >= 0n, 'a stored price holds decimals that are not negative')
  return rate
}

/**
 * The cost of one call in nano-units (ledger scale): exact, clamped, then rounded once, half away from zero.
 * The clamps are those of one call; where `calls` is above one they grow with it.
 */
export function rate(rates: Rates, quantities: Quantities): bigint {
  const { calls, bytes, durationUs } = quantities
  assert(calls >= 0 && bytes >= 0 && durationUs >= 0, 'quantities are not negative')
  let amount = rates.perCall === 0n ? 0n : rates.perCall * BigInt(calls) * one
  if (rates.perKb !== 0n) amount += rates.perKb * (BigInt(bytes) * kbPerByte)
  if (rates.perSecond !== 0n) amount += rates.perSecond * (BigInt(durationUs) * secondsPerUs)
  return divideRounded(clamp(rates, amount, calls > 1 ? BigInt(calls) * one : one), exactPerNano)
}

/** The most that a call within these caps can cost, in nano-units. Never falls when a cap grows. */
export const worstCase = (rates: Rates, caps: CallCaps): bigint =>
  rate(rates, { calls: 1, bytes: caps.requestBytes + caps.responseBytes, durationUs: caps.durationUs })

/** Amounts have `exactScale`, `calls` has 12 decimals. */
function clamp(rates: Rates, amount: bigint, calls: bigint): bigint {
  const least = rates.minimum * calls
  if (amount < least) return least
  if (rates.maximum === undefined) return amount
  const most = rates.maximum * calls
  return amount > most ? most : amount
}

/** The exact amount (`exactScale`) with its lines, for any quantities; clamps as in `rate`. */
export function rateExactly(
  rates: Rates,
  quantities: ScaledQuantities,
): { amount: bigint; lines: PriceLine[] } {
  const lines: PriceLine[] = []
  let sum = 0n
  const add = (component: Component, quantity: bigint, unitPrice: bigint): void => {
    if (unitPrice === 0n) return
    sum += unitPrice * quantity
    lines.push({
      component,
      quantity: formatDecimal(quantity, rateScale),
      unitPrice: formatDecimal(unitPrice, rateScale),
      amount: formatDecimal(unitPrice * quantity, exactScale),
    })
  }
  add('perCall', quantities.calls, rates.perCall)
  add('perKb', quantities.kb, rates.perKb)
  add('perSecond', quantities.seconds, rates.perSecond)
  const calls = quantities.calls > one ? quantities.calls : one
  const amount = clamp(rates, sum, calls)
  if (amount !== sum)
    lines.push({
      component: amount > sum ? 'minimum' : 'maximum',
      quantity: formatDecimal(calls, rateScale),
      amount: formatDecimal(amount - sum, exactScale),
    })
  return { amount, lines }
}

/** The cost of one recorded call, as `rate` finds it, with the lines that make it up, rounding included. */
export function breakdown(rates: Rates, quantities: Quantities): { amount: string; lines: PriceLine[] } {
  const nano = rate(rates, quantities)
  const { amount, lines } = rateExactly(rates, {
    calls: BigInt(quantities.calls) * one,
    kb: BigInt(quantities.bytes) * kbPerByte,
    seconds: BigInt(quantities.durationUs) * secondsPerUs,
  })
  const rounding = nano * exactPerNano - amount
  if (rounding !== 0n)
    lines.push({ component: 'rounding', quantity: '1', amount: formatDecimal(rounding, exactScale) })
  return { amount: formatAmount(nano), lines }
}
