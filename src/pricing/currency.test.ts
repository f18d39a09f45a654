// Guarantees of the currency table: well-formed, unique, with the exponents of ISO 4217.
import { expect, test } from 'vitest'
import { currencyCodes, findExponent, isCurrency } from './currency.ts'

test('holds each code once, three capital letters, sorted', () => {
  expect(currencyCodes).toEqual([...new Set(currencyCodes)].toSorted())
  expect(currencyCodes.filter((code) => !/^[A-Z]{3}$/.test(code))).toEqual([])
  expect(currencyCodes.length).toBeGreaterThan(150)
})

test.each([
  ['JPY', 0],
  ['KRW', 0],
  ['USD', 2],
  ['EUR', 2],
  ['HUF', 2],
  ['KWD', 3],
  ['TND', 3],
  ['CLF', 4],
])('%s has %i decimals', (code, exponent) => {
  expect(findExponent(code)).toBe(exponent)
})

test.each(['', 'usd', 'XXX', 'XTS', 'XAU', 'US', 'DEM', 'toString', '__proto__'])(
  '%j is no currency',
  (code) => {
    expect(isCurrency(code)).toBe(false)
    expect(findExponent(code)).toBeUndefined()
  },
)
