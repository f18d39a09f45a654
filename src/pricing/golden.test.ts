// Published worked examples of other products, as prices of this one: each costs what its page says.
import { Decimal } from 'decimal.js'
import { describe, expect, test } from 'vitest'
import type { Price, TierStep, Tiers } from './price.ts'
import { quote, type QuoteUsage } from './quote.ts'
import { compilePrice, rate } from './rating.ts'
import { priceInput } from './rule-input.ts'

const counting = { period: 'month', per: 'account' } as const
type Unit = Tiers['unit']

/** Steps as pairs of bound and price, and a fee where a third is given. */
function steps(mode: Tiers['mode'], unit: Unit, ...given: [string | null, string, string?][]): Price {
  const list = given.map(([upTo, unitPrice, flatPrice]): TierStep => {
    return { upTo, unitPrice, ...(flatPrice !== undefined && { flatPrice }) }
  })
  return { tiers: { mode, unit, ...counting, steps: list } }
}

const fonts: [string | null, string][] = [
  ['5', '7'],
  ['10', '6.5'],
  [null, '6'],
]
const slabs: [string | null, string, string?][] = [
  ['250', '0', '10'],
  ['500', '0', '20'],
  [null, '0', '30'],
]
const unitSlabs: [string | null, string][] = [
  ['250', '1'],
  ['500', '2'],
  [null, '3'],
]
const messages: [string | null, string, string?][] = [
  ['1000', '0', '50'],
  ['5000', '0', '200'],
  [null, '0', '350'],
]
const requests: [string | null, string][] = [
  ['1000', '0.10'],
  ['10000', '0.05'],
  [null, '0.01'],
]

interface Case {
  readonly product: string
  readonly source: string
  readonly price: Price
  /** Quantity and the amount that the page publishes for it, in whole cents at the finest. */
  readonly published: readonly (readonly [QuoteUsage, string])[]
}

const calls = (...pairs: [string, string][]) =>
  pairs.map(([count, amount]) => [{ calls: count }, amount] as const)

const cases: readonly Case[] = [
  {
    product: 'Stripe, volume',
    source: 'https://docs.stripe.com/subscriptions/pricing-models/tiered-pricing',
    price: steps('volume', 'call', ...fonts),
    published: calls(['1', '7'], ['5', '35'], ['6', '39'], ['20', '120'], ['25', '150']),
  },
  {
    product: 'Stripe, graduated',
    source: 'https://docs.stripe.com/subscriptions/pricing-models/tiered-pricing',
    price: steps('graduated', 'call', ...fonts),
    published: calls(['1', '7'], ['5', '35'], ['6', '41.5'], ['20', '127.5'], ['25', '157.5']),
  },
  {
    product: 'Lago, packages after free units',
    source: 'https://getlago.com/docs/guide/plans/charges/charge-models/package',
    price: { package: { unit: 'call', size: '100', price: '5', free: '100', ...counting } },
    published: calls(['100', '0'], ['200', '5'], ['201', '10']),
  },
  {
    product: 'Autumn, graduated',
    source: 'https://docs.useautumn.com/documentation/modelling-pricing/graduated-pricing.md',
    price: steps('graduated', 'call', ['1000', '0.01'], ['10000', '0.008'], [null, '0.005']),
    published: calls(['15000', '107']),
  },
  {
    product: 'Zuplo, graduated',
    source: 'https://zuplo.com/docs/articles/monetization/pricing-models',
    price: steps('graduated', 'call', ...requests),
    published: calls(['15000', '600']),
  },
  {
    product: 'Zuplo, volume',
    source: 'https://zuplo.com/docs/articles/monetization/pricing-models',
    price: steps('volume', 'call', ...requests),
    published: calls(['15000', '150']),
  },
  {
    product: 'Chargebee, packages of tokens',
    source: 'https://www.chargebee.com/docs/billing/2.0/product-catalog/package-pricing',
    price: { package: { unit: 'token', size: '1000000', price: '1.25', ...counting } },
    published: [
      [{ tokens: '10' }, '1.25'],
      [{ tokens: '1000000' }, '1.25'],
      [{ tokens: '1500000' }, '2.5'],
    ],
  },
  {
    product: 'Flexprice, one price for a range',
    source: 'https://docs.flexprice.io/docs/product-catalogue/plans/billing-models/package.md',
    price: steps('volume', 'call', ...messages),
    published: calls(['1500', '200'], ['4500', '200']),
  },
  {
    product: 'Oracle, a fee for each slab entered',
    source:
      'https://docs.oracle.com/en/industries/financial-services/banking-liquidity-management/14.8.2.0.0/oblug/examples-tier-based-amount.html',
    price: steps('graduated', 'call', ...slabs),
    published: calls(['1000', '60']),
  },
  {
    product: 'Oracle, the fee of the slab reached',
    source:
      'https://docs.oracle.com/en/industries/financial-services/banking-liquidity-management/14.8.2.0.0/oblug/examples-tier-based-amount.html',
    price: steps('volume', 'call', ...slabs),
    published: calls(['1000', '30']),
  },
  {
    product: 'Oracle, dearer by slab, in parts and as a whole',
    source:
      'https://docs.oracle.com/en/industries/financial-services/banking-liquidity-management/14.8.2.0.0/oblug/examples-tier-based-amount.html',
    price: steps('graduated', 'call', ...unitSlabs),
    published: calls(['1000', '2250']),
  },
  {
    product: 'AWS Lambda, requests',
    source: 'https://aws.amazon.com/lambda/pricing/',
    price: steps('graduated', 'call', ['1000000', '0'], [null, '0.0000002']),
    published: calls(['3000000', '0.40']),
  },
  {
    product: 'AWS Lambda, 512 MB for a second three million times, in GB-seconds',
    source: 'https://aws.amazon.com/lambda/pricing/',
    price: steps('graduated', 'second', ['400000', '0'], [null, '0.00001667']),
    published: [[{ seconds: '1500000' }, '18.34']],
  },
  {
    product: 'FeeCalc, card fee of 2.9 % and 30 cents',
    source: 'https://www.fee-calc.com/2-9-plus-0-30-calculator',
    price: { percentage: { rate: '0.029', fixed: '0.30', of: 'upstreamCost', ...counting } },
    published: ['1.00 0.33', '3.00 0.39', '10.00 0.59', '25.00 1.03', '50.00 1.75'].map((row) => {
      const [upstreamCost = '', fee = ''] = row.split(' ')
      return [{ upstreamCost }, fee] as const
    }),
  },
]

describe.each(cases)('$product ($source)', ({ price, published }) => {
  test.each(published)('%j costs %s', (usage, amount) => {
    const exact = quote(priceInput.parse(price), usage).amount
    expect(new Decimal(exact).toFixed(2, Decimal.ROUND_HALF_UP)).toBe(new Decimal(amount).toFixed(2))
  })
})

const small = cases
  .map(({ product, price, published }) => {
    const few = published.flatMap(([{ calls: count }, amount]) =>
      count !== undefined && Number(count) <= 15_000 ? [[Number(count), amount] as const] : [],
    )
    return { product, price, few }
  })
  .filter(({ few }) => few.length > 0)

test.each(small)('call after call adds up to the same: $product', ({ price, few }) => {
  const rates = compilePrice(priceInput.parse(price))
  for (const [count, amount] of few) {
    let sum = 0n
    for (let before = 0; before < count; before++) {
      const own = { calls: 1, bytes: 0, durationUs: 0 }
      sum += rate(rates, own, before === 0 ? undefined : BigInt(before))
    }
    expect(new Decimal(sum.toString()).div(1e9).eq(amount), `${count} calls`).toBe(true)
  }
})
