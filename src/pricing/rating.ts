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
import { compileCumulative, exactScale, one, type Cumulative } from './cumulative.ts'
import type { Price, Quantities } from './price.ts'

/** A price read once: rates with 12 decimals as bigint. Zero where the price has no such component. */
export interface Rates {
  readonly perCall: bigint
  readonly perKb: bigint
  readonly perSecond: bigint
  readonly perToken: bigint
  /** For each call that cost the server something. */
  readonly perCostlyCall: bigint
  /** Undefined where one call has no lower bound of its own; without one, a volume price may give something back. */
  readonly minimum: bigint | undefined
  /** Undefined where one call has no upper bound of its own. */
  readonly maximum: bigint | undefined
  /** What depends on the calls before this one in its period. */
  readonly cumulative: Cumulative | undefined
}

/** Quantities with 12 decimals as bigint; bytes / 1024 and microseconds / 10^6 are exact at this scale. */
export interface ScaledQuantities {
  readonly calls: bigint
  readonly kb: bigint
  readonly seconds: bigint
  readonly tokens: bigint
  readonly upstreamCost: bigint
}

export const components = [
  'perCall',
  'perKb',
  'perSecond',
  'perToken',
  'fixed',
  'tier',
  'tierFlat',
  'package',
  'percentage',
  'flat',
  'counted',
  'minimum',
  'maximum',
  'rounding',
] as const
/** `counted` takes off what the calls before in the period have paid of `tier`, `package`, `percentage` and `flat`. */
export type Component = (typeof components)[number]

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
  readonly tokens?: number
  readonly upstreamCost?: bigint
}

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
    perToken: readRate(price.perToken),
    perCostlyCall: readRate(price.percentage?.fixed),
    minimum: price.minimum === undefined ? undefined : readRate(price.minimum),
    maximum: price.maximum === undefined ? undefined : readRate(price.maximum),
    cumulative: compileCumulative(price),
  }
}

function readRate(text = '0'): bigint {
  const rate = parseDecimal(text, rateScale)
  assert(rate !== undefined && rate >= 0n, 'a stored price holds decimals that are not negative')
  return rate
}

/**
 * The cost of one call in nano-units (ledger scale): exact, clamped, then rounded once, half away from zero.
 * The clamps are those of one call; where `calls` is above one they grow with it. `before` is what was counted in the
 * period (base units of `rates.cumulative`), undefined where that is nothing yet.
 */
export function rate(rates: Rates, quantities: Quantities, before?: bigint): bigint {
  const { cumulative } = rates
  const counted = cumulative ? cumulative.costOf(cumulative.countOf(quantities), before) : 0n
  return total(rates, quantities, counted)
}

/** `counted` is the cumulative part, in nano-units. */
function total(rates: Rates, quantities: Quantities, counted: bigint): bigint {
  const { calls, bytes, durationUs, tokens, upstreamCost } = quantities
  assert(calls >= 0 && bytes >= 0 && durationUs >= 0, 'quantities are not negative')
  let amount = rates.perCall === 0n ? 0n : rates.perCall * BigInt(calls) * one
  if (rates.perKb !== 0n) amount += rates.perKb * (BigInt(bytes) * kbPerByte)
  if (rates.perSecond !== 0n) amount += rates.perSecond * (BigInt(durationUs) * secondsPerUs)
  if (rates.perToken !== 0n && tokens !== undefined) amount += rates.perToken * BigInt(tokens) * one
  if (rates.perCostlyCall !== 0n && upstreamCost) amount += rates.perCostlyCall * one
  if (counted !== 0n) amount += counted * exactPerNano
  return divideRounded(clamp(rates, amount, calls > 1 ? BigInt(calls) * one : one), exactPerNano)
}

/** Whether every call costs the same. */
export const isFixed = ({ perKb, perSecond, perToken, perCostlyCall, cumulative }: Rates): boolean =>
  perKb === 0n && perSecond === 0n && perToken === 0n && perCostlyCall === 0n && cumulative === undefined

/** What was counted before a call, and what others that are on their way may count before it, in base units. */
export interface Position {
  readonly before: bigint | undefined
  readonly ahead: bigint
}

/** The most that a call within these caps can cost, in nano-units. Never falls when a cap grows. */
export function worstCase(rates: Rates, caps: CallCaps, position?: Position): bigint {
  const { requestBytes, responseBytes, ...rest } = caps
  const quantities = { ...rest, calls: 1, bytes: requestBytes + responseBytes }
  const { cumulative } = rates
  const where = position ?? { before: undefined, ahead: 0n }
  const counted = cumulative ? cumulative.mostOf(cumulative.countOf(quantities), where) : 0n
  return total(rates, quantities, counted)
}

/** Amounts have `exactScale`, `calls` has 12 decimals. */
function clamp(rates: Rates, amount: bigint, calls: bigint): bigint {
  if (rates.minimum !== undefined && amount < rates.minimum * calls) return rates.minimum * calls
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
  add('perToken', quantities.tokens, rates.perToken)
  if (quantities.upstreamCost > 0n) add('fixed', one, rates.perCostlyCall)
  if (rates.cumulative) {
    const part = rates.cumulative.rateExactly(quantityOf(rates.cumulative, quantities))
    sum += part.amount
    lines.push(...part.lines)
  }
  return { ...clamped(rates, sum, { lines, calls: quantities.calls }) }
}

/** The clamps as a line of their own. */
function clamped(
  rates: Rates,
  sum: bigint,
  { lines, calls: given }: { lines: PriceLine[]; calls: bigint },
): { amount: bigint; lines: PriceLine[] } {
  const calls = given > one ? given : one
  const amount = clamp(rates, sum, calls)
  if (amount !== sum)
    lines.push({
      component: amount > sum ? 'minimum' : 'maximum',
      quantity: formatDecimal(calls, rateScale),
      amount: formatDecimal(amount - sum, exactScale),
    })
  return { amount, lines }
}

const quantityOf = ({ unit }: Cumulative, quantities: ScaledQuantities): bigint => {
  const byUnit = {
    call: quantities.calls,
    kb: quantities.kb,
    second: quantities.seconds,
    token: quantities.tokens,
    upstreamCost: quantities.upstreamCost,
    none: 0n,
  }
  return byUnit[unit]
}

/** The cost of one recorded call, as `rate` finds it, with the lines that make it up, rounding included. */
export function breakdown(
  rates: Rates,
  quantities: Quantities,
  before?: bigint,
): { amount: string; lines: PriceLine[] } {
  const nano = rate(rates, quantities, before)
  const { tokens = 0, upstreamCost = 0n } = quantities
  const linear = rateExactly(
    { ...rates, cumulative: undefined, minimum: undefined, maximum: undefined },
    {
      calls: BigInt(quantities.calls) * one,
      kb: BigInt(quantities.bytes) * kbPerByte,
      seconds: BigInt(quantities.durationUs) * secondsPerUs,
      tokens: BigInt(tokens) * one,
      upstreamCost: upstreamCost * (one / 10n ** BigInt(ledgerScale)),
    },
  )
  const { lines } = linear
  let sum = linear.amount
  const { cumulative } = rates
  if (cumulative) {
    const count = cumulative.countOf(quantities)
    const after = cumulative.rateExactly(cumulative.scaled((before ?? 0n) + count))
    const paid = before === undefined ? 0n : cumulative.rateExactly(cumulative.scaled(before)).amount
    lines.push(...after.lines)
    if (paid !== 0n)
      lines.push({ component: 'counted', quantity: '1', amount: formatDecimal(-paid, exactScale) })
    sum += after.amount - paid
  }
  const { amount } = clamped(rates, sum, { lines, calls: BigInt(quantities.calls) * one })
  const rounding = nano * exactPerNano - amount
  if (rounding !== 0n)
    lines.push({ component: 'rounding', quantity: '1', amount: formatDecimal(rounding, exactScale) })
  return { amount: formatAmount(nano), lines }
}
