// A price in words, as far as a line holds it.
import type { Schemas } from '../api/types.ts'
import { money } from './format.tsx'

const units = [
  ['perCall', 'a call'],
  ['perKb', 'a KB'],
  ['perSecond', 'a second'],
  ['perToken', 'a token'],
  ['flat', 'flat'],
] as const

/** Undefined, and null, stand for no price at all. */
type Priced = Pick<NonNullable<Schemas['PricedTool']['price']>, 'price' | 'currency'>

export function priceText(priced: Priced | null | undefined): string {
  if (!priced) return 'no price'
  const { price, currency } = priced
  const parts = units.flatMap(([member, unit]) => {
    const amount = price[member]
    return amount === undefined ? [] : [`${money(amount, currency)} ${unit}`]
  })
  if (price.tiers) parts.push(`${price.tiers.mode} by ${price.tiers.unit}`)
  if (price.package)
    parts.push(`${money(price.package.price, currency)} for ${price.package.size} ${price.package.unit}s`)
  if (price.percentage) parts.push(`${Number(price.percentage.rate) * 100} % of what it costs its server`)
  return parts.length === 0 ? 'free' : parts.join(' + ')
}
