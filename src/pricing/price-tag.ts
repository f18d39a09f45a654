// A price as a caller is told it: the rule that a call would have now, and one sentence that says what it costs.
import { formatDecimal, parseDecimal, rateScale } from '../base/money.ts'
import type { CompiledRule } from './choice.ts'
import type { Outcome, Package, Percentage, Price, Tiers, Unit } from './price.ts'

/** What a call costs now. `priced: false` where no rule prices it: then it costs nothing. */
export type PriceTag =
  | {
      readonly priced: true
      readonly price: Price
      readonly currency: string
      readonly rule: { readonly id: string; readonly version: number; readonly name: string }
      /** Outcomes that are charged. */
      readonly billOn: readonly Outcome[]
      /** "0.01 USD per call". */
      readonly text: string
    }
  | { readonly priced: false; readonly currency: string; readonly text: string }

const unpricedText = 'No price is set; it costs nothing.'

/** The tag of the rule that was chosen, or of none; `currency` is the account's. */
export function priceTag(found: CompiledRule | undefined, currency: string): PriceTag {
  if (!found) return { priced: false, currency, text: unpricedText }
  const { ruleId, version, name, price, billOn } = found.rule
  return {
    priced: true,
    price,
    currency: found.rule.currency,
    rule: { id: ruleId, version, name },
    billOn,
    text: priceText(price, found.rule.currency),
  }
}

/** A price in one line: "0.01 USD per call + 0.001 USD per KB, at least 0.02 USD and at most 1 USD a call". */
export function priceText(price: Price, currency: string): string {
  const money = (amount: string): string => `${amount} ${currency}`
  const { perCall, perKb, perSecond, perToken, flat, minimum, maximum } = price
  const said = (amount: string | undefined, rest: string): string[] =>
    amount === undefined ? [] : [`${money(amount)} ${rest}`]
  const parts = [
    ...said(perCall, 'per call'),
    ...said(perKb, 'per KB'),
    ...said(perSecond, 'per second'),
    ...said(perToken, 'per token'),
    ...(price.tiers ? [tiersText(price.tiers, money)] : []),
    ...(price.package ? [packageText(price.package, money)] : []),
    ...(price.percentage ? [percentageText(price.percentage, money)] : []),
    ...said(flat, `once a ${(price.tiers ?? price.package ?? price.percentage)?.period ?? 'month'}`),
  ]
  const bounds = [
    ...(minimum === undefined ? [] : [`at least ${money(minimum)}`]),
    ...(maximum === undefined ? [] : [`at most ${money(maximum)}`]),
  ]
  const base = parts.length > 0 ? parts.join(' + ') : money('0')
  return bounds.length > 0 ? `${base}, ${bounds.join(' and ')} a call` : base
}

type Money = (amount: string) => string

const unitNames: Readonly<Record<Unit, string>> = { call: 'call', kb: 'KB', second: 'second', token: 'token' }

/** "0.01 USD per call up to 1000 a month, then 0.005 USD"; volume prices go for the whole quantity. */
function tiersText({ mode, unit, period, steps }: Tiers, money: Money): string {
  const all = steps.map(({ upTo, unitPrice, flatPrice }, at) => {
    const flat = flatPrice === undefined ? '' : ` and ${money(flatPrice)} once`
    const each = at === 0 ? ` per ${unitNames[unit]}` : ''
    const bound = upTo === null ? '' : ` up to ${upTo}${at === 0 ? ` a ${period}` : ''}`
    return `${money(unitPrice)}${each}${flat}${bound}`
  })
  return all.join(mode === 'volume' ? ', then for all ' : ', then ')
}

function packageText({ unit, size, price, free, period }: Package, money: Money): string {
  const units = size === '1' || unit === 'kb' ? unitNames[unit] : `${unitNames[unit]}s`
  const gift = free === undefined ? '' : `, the first ${free} of a ${period} free`
  return `${money(price)} per started ${size} ${units}${gift}`
}

function percentageText({ rate, fixed, free, period }: Percentage, money: Money): string {
  const percent = formatDecimal((parseDecimal(rate, rateScale) ?? 0n) * 100n, rateScale)
  const more = fixed === undefined ? '' : ` + ${money(fixed)}`
  const gift = free === undefined ? '' : `, the first ${money(free)} of a ${period} free`
  return `${percent} % of the server's own cost${more}${gift}`
}
