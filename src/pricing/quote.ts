// Quotes: what a price would charge for given quantities, exact and unrounded; nothing is stored.
import { GatewayError, type FieldError } from '../base/errors.ts'
import { formatDecimal, parseDecimal, rateScale } from '../base/money.ts'
import type { Price } from './price.ts'
import { exactScale } from './cumulative.ts'
import { compilePrice, rateExactly, type PriceLine } from './rating.ts'

/** Quantities of a whole period as decimal strings with at most 12 decimals; what is absent is zero. */
export interface QuoteUsage {
  readonly calls?: string
  readonly kb?: string
  readonly seconds?: string
  readonly tokens?: string
  /** In the currency of the quote. */
  readonly upstreamCost?: string
}

export interface Quote {
  readonly amount: string
  readonly currency: string
  readonly lines: readonly PriceLine[]
}

const quantityNames: readonly string[] = ['calls', 'kb', 'seconds', 'tokens', 'upstreamCost']
export const quantityPattern = /^\d{1,30}(?:\.\d{1,12})?$/
export const quantityText = 'must be a decimal string such as "2.5", not negative, with at most 12 decimals'

/** What is wrong with a quantity, or undefined where nothing is. */
function findProblem(name: string, value: unknown): string | undefined {
  if (!quantityNames.includes(name)) return `is not a quantity; use ${quantityNames.join(', ')}`
  if (value === undefined || (typeof value === 'string' && quantityPattern.test(value))) return undefined
  return quantityText
}

/**
 * Rates a valid price (see `priceInput`) over any usage. The clamps of a price are those of one call: over n calls
 * they count n times, and at least once. Throws `validation_failed` naming each unknown or malformed quantity.
 */
export function quote(price: Price, usage: QuoteUsage, currency = 'USD'): Quote {
  const fields: FieldError[] = []
  for (const [name, value] of Object.entries(usage)) {
    const message = findProblem(name, value)
    if (message) fields.push({ field: `/usage/${name}`, message })
  }
  if (fields.length > 0) throw new GatewayError('validation_failed', { fields })
  const { amount, lines } = rateExactly(compilePrice(price), {
    calls: readQuantity(usage.calls),
    kb: readQuantity(usage.kb),
    seconds: readQuantity(usage.seconds),
    tokens: readQuantity(usage.tokens),
    upstreamCost: readQuantity(usage.upstreamCost),
  })
  return { amount: formatDecimal(amount, exactScale), currency, lines }
}

const readQuantity = (text = '0'): bigint => parseDecimal(text, rateScale) ?? 0n
