// Guarantees of money: decimals are read and written exactly, and rounding is half away from zero.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { divideRounded, formatAmount, formatDecimal, parseAmount, parseDecimal, rescale } from './money.ts'

const seed = Date.now() & 0x7fffffff

test.each([
  ['0.0045', 12, 4_500_000_000n],
  ['10', 9, 10_000_000_000n],
  ['-1.5', 2, -150n],
  ['-0', 2, 0n],
  ['007', 0, 7n],
  ['1.2300', 2, 123n],
  ['123456789012345678901234567890', 0, 123456789012345678901234567890n],
])('%s at scale %i is read exactly', (text, scale, units) => {
  expect(parseDecimal(text, scale)).toBe(units)
})

test.each([
  '',
  ' 1',
  '1 ',
  '+1',
  '1.',
  '.5',
  '1e3',
  '1,5',
  '0x1',
  '--1',
  'NaN',
  '1.2.3',
  '١',
  '1'.repeat(31),
])('%j is no decimal', (text) => {
  expect(parseDecimal(text, 9)).toBeUndefined()
})

test('digits past the scale are refused, not rounded', () => {
  expect(parseDecimal('0.001', 2)).toBeUndefined()
  expect(parseAmount('0.0000000001')).toBeUndefined()
  expect(parseAmount('0.0010000000000')).toBe(1_000_000n)
})

test('every amount survives being written and read at any scale', () => {
  console.log(`fast-check seed ${seed}`)
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.nat(24), (units, scale) => {
      const text = formatDecimal(units, scale)
      expect(parseDecimal(text, scale)).toBe(units)
      expect(text).toMatch(/^-?(0|[1-9]\d*)(\.\d*[1-9])?$/)
    }),
    { seed },
  )
})

test.each([
  [0n, 9, '0'],
  [1n, 9, '0.000000001'],
  [-1n, 9, '-0.000000001'],
  [1_000_000_000n, 9, '1'],
  [-1_500_000_000n, 9, '-1.5'],
  [42n, 0, '42'],
])('%s at scale %i is written %s', (units, scale, text) => {
  expect(formatDecimal(units, scale)).toBe(text)
  if (scale === 9) expect(formatAmount(units)).toBe(text)
})

test.each([
  [5n, 10n, 1n],
  [4n, 10n, 0n],
  [-5n, 10n, -1n],
  [-4n, 10n, 0n],
  [15n, 10n, 2n],
  [-15n, 10n, -2n],
  [25n, 10n, 3n],
  [1n, 3n, 0n],
  [2n, 3n, 1n],
  [-2n, 3n, -1n],
  [7n, 1n, 7n],
])('%s / %s rounds to %s', (dividend, divisor, quotient) => {
  expect(divideRounded(dividend, divisor)).toBe(quotient)
})

test('rounding errs by at most a half, and is symmetric around zero', () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.bigInt({ min: 1n, max: 10n ** 15n }), (dividend, divisor) => {
      const quotient = divideRounded(dividend, divisor)
      const error = 2n * (quotient * divisor - dividend)
      expect(error <= divisor && error >= -divisor).toBe(true)
      expect(divideRounded(-dividend, divisor)).toBe(-quotient)
      if (error === divisor || error === -divisor) expect(quotient * dividend > 0n).toBe(true)
    }),
    { seed },
  )
})

test('moving to a finer scale and back changes nothing', () => {
  fc.assert(
    fc.property(fc.bigInt(), (units) => {
      expect(rescale(rescale(units, 9, 12), 12, 9)).toBe(units)
    }),
    { seed },
  )
  expect(rescale(1_500n, 12, 9)).toBe(2n)
  expect(rescale(-1_499n, 12, 9)).toBe(-1n)
})
