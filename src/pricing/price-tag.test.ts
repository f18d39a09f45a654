// Proves that a price's sentence names everything that the price holds.
import { expect, test } from 'vitest'
import type { Price } from './price.ts'
import { priceTag, priceText } from './price-tag.ts'

const counted = { unit: 'call', period: 'month', per: 'account' } as const

test.each<[string, Price]>([
  ['0.01 USD per call', { perCall: '0.01' }],
  [
    '0.01 USD per call + 0.001 USD per KB + 0.2 USD per second + 0.000002 USD per token',
    { perCall: '0.01', perKb: '0.001', perSecond: '0.2', perToken: '0.000002' },
  ],
  [
    '0.1 USD per second, at least 0.05 USD and at most 1 USD a call',
    { perSecond: '0.1', minimum: '0.05', maximum: '1' },
  ],
  ['5 USD once a month', { flat: '5' }],
  ['0 USD', {}],
  [
    '0.01 USD per call up to 1000 a month, then 0.005 USD and 2 USD once up to 5000, then 0.001 USD + 3 USD once a month',
    {
      flat: '3',
      tiers: {
        ...counted,
        mode: 'graduated',
        steps: [
          { upTo: '1000', unitPrice: '0.01' },
          { upTo: '5000', unitPrice: '0.005', flatPrice: '2' },
          { upTo: null, unitPrice: '0.001' },
        ],
      },
    },
  ],
  [
    '0.01 USD per KB up to 1000 a day, then for all 0.005 USD',
    {
      tiers: {
        mode: 'volume',
        unit: 'kb',
        period: 'day',
        per: 'key',
        steps: [
          { upTo: '1000', unitPrice: '0.01' },
          { upTo: null, unitPrice: '0.005' },
        ],
      },
    },
  ],
  [
    '1 USD per started 1000 calls, the first 50 of a month free',
    { package: { ...counted, size: '1000', price: '1', free: '50' } },
  ],
  [
    "20 % of the server's own cost + 0.01 USD, the first 3 USD of a month free",
    {
      percentage: {
        rate: '0.2',
        of: 'upstreamCost',
        fixed: '0.01',
        free: '3',
        period: 'month',
        per: 'account',
      },
    },
  ],
])('%s', (text, price) => {
  expect(priceText(price, 'USD')).toBe(text)
})

test('what no rule prices says so', () => {
  expect(priceTag(undefined, 'EUR')).toEqual({
    priced: false,
    currency: 'EUR',
    text: expect.stringContaining('nothing'),
  })
})
