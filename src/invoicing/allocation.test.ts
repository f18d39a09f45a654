// Guarantees of rounding: an invoice is rounded once, its lines add up, and their order does not matter.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { allocate, exponentOf, roundAmount, type Part } from './allocation.ts'
import { formatMoney, splitByPayer, taxesOf } from './amounts.ts'
import { findFormatProblem, formatNumber, seriesYear } from './numbering.ts'
import { periodWords } from './lines.ts'
import { closedMonths, findMonth } from './periods.ts'
import { runs } from '../../test/harness/fuzz.ts'

const currencies = ['USD', 'JPY', 'KWD', 'CLF'] as const
const partsOf = (amounts: readonly bigint[]): Part[] =>
  amounts.map((exact, n) => ({ key: `line ${n}`, exact }))
const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((total, amount) => total + amount, 0n)

const someAmounts = fc.array(fc.bigInt({ min: -5_000_000_000n, max: 10n ** 13n }), { maxLength: 40 })
const someCurrency = fc.constantFrom(...currencies)

describe('the rounded lines', () => {
  test('add up to the total, which is rounded once, half away from zero', () => {
    fc.assert(
      fc.property(someAmounts, someCurrency, (amounts, currency) => {
        const rounded = allocate(partsOf(amounts), currency)
        const unit = 10n ** BigInt(9 - exponentOf(currency))
        const total = sum(amounts)
        expect(sum(rounded)).toBe(roundAmount(total, currency))
        const off = sum(rounded) - total
        expect(2n * (off < 0n ? -off : off)).toBeLessThanOrEqual(unit)
        for (const [index, amount] of rounded.entries()) {
          expect(amount % unit).toBe(0n)
          const exact = amounts[index] ?? 0n
          expect(amount - exact).toBeLessThan(unit)
          expect(exact - amount).toBeLessThan(unit)
        }
      }),
      { numRuns: runs(500) },
    )
  })

  test('are the same in any order', () => {
    fc.assert(
      fc.property(
        someAmounts.chain((amounts) =>
          fc.tuple(
            fc.constant(amounts),
            fc.shuffledSubarray(partsOf(amounts), { minLength: amounts.length }),
          ),
        ),
        someCurrency,
        ([amounts, shuffled], currency) => {
          const straight = allocate(partsOf(amounts), currency)
          const byKey = new Map(partsOf(amounts).map(({ key }, index) => [key, straight[index]]))
          expect(allocate(shuffled, currency)).toEqual(shuffled.map(({ key }) => byKey.get(key)))
        },
      ),
    )
  })

  test('give the missing cents to the largest remainders, and of equal ones to the smaller key', () => {
    const thirds = [3_333_333_333n, 3_333_333_333n, 3_333_333_334n]
    expect(allocate(partsOf(thirds), 'USD')).toEqual([3_330_000_000n, 3_330_000_000n, 3_340_000_000n])
    const equal = partsOf([5_000_000n, 5_000_000n, 5_000_000n])
    expect(allocate(equal, 'USD')).toEqual([10_000_000n, 10_000_000n, 0n])
    expect(roundAmount(-5_000_000n, 'USD')).toBe(-10_000_000n)
  })

  test('what credit paid and what is owed add up to the subtotal', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 13n), fc.bigInt(0n, 10n ** 13n), someCurrency, (a, b, currency) => {
        const { subtotal, applied, owed } = splitByPayer(a + b, a, currency)
        expect(applied + owed).toBe(subtotal)
        expect(subtotal).toBe(roundAmount(a + b, currency))
        expect(applied >= 0n && owed >= 0n).toBe(true)
      }),
    )
  })
})

test('amounts show the decimals of their currency', () => {
  expect(formatMoney(12_300_000_000n, 'USD')).toBe('12.30')
  expect(formatMoney(12_000_000_000n, 'JPY')).toBe('12')
  expect(formatMoney(-1_500_000_000n, 'KWD')).toBe('-1.500')
})

test('taxes are computed on the rounded subtotal, each by itself, for the countries that they name', () => {
  const settings = [
    { name: 'VAT', rate: '0.19', when: { country: 'DE' } },
    { name: 'City', rate: '0.0125' },
  ]
  const german = taxesOf(10_050_000_000n, 'EUR', { settings, country: 'DE' })
  expect(german.lines).toEqual([
    { name: 'VAT', rate: '0.19', base: '10.05', amount: '1.91' },
    { name: 'City', rate: '0.0125', base: '10.05', amount: '0.13' },
  ])
  expect(german.sum).toBe(2_040_000_000n)
  expect(taxesOf(10_050_000_000n, 'EUR', { settings, country: undefined }).lines).toHaveLength(1)
  expect(taxesOf(1_000_000_000n, 'JPY', { settings, country: 'DE' }).lines[0]?.amount).toBe('0')
})

test('numbers count in their series, which is a year where the format has one', () => {
  expect(formatNumber('INV-{year}-{seq:6}', 2026, 42)).toBe('INV-2026-000042')
  expect(formatNumber('{seq}', 0, 1234567)).toBe('1234567')
  const newYear = Date.UTC(2026, 11, 31, 23, 30)
  expect(seriesYear('A{year}/{seq}', newYear, 'Europe/Berlin')).toBe(2027)
  expect(seriesYear('A{year}/{seq}', newYear, 'UTC')).toBe(2026)
  expect(seriesYear('A{seq}', newYear, 'UTC')).toBe(0)
  for (const wrong of ['INV', '{seq}{seq}', 'a\nb{seq}', '{month}{seq}', 'x'.repeat(41) + '{seq}'])
    expect(findFormatProblem(wrong), wrong).toBeDefined()
  expect(findFormatProblem('R/{year}.{seq:4}')).toBeUndefined()
})

test('a month is one of the zone of the account, whatever its clocks do', () => {
  const october = findMonth('2026-10', 'Europe/Berlin')
  expect(october && [october.startMs, october.endMs].map((ms) => new Date(ms).toISOString())).toEqual([
    '2026-09-30T22:00:00.000Z',
    '2026-10-31T23:00:00.000Z',
  ])
  expect(october && periodWords(october, 'Europe/Berlin')).toBe('October 2026')
  expect(october && periodWords(october, 'UTC')).toBe('2026-09-30 to 2026-10-31')
  expect(findMonth('2026-13', 'UTC')).toBeUndefined()
  const closed = closedMonths(Date.UTC(2026, 10, 1, 0, 30), 'UTC', { closedForMs: 3_600_000, count: 2 })
  expect(closed.map((month) => periodWords(month, 'UTC'))).toEqual(['September 2026', 'August 2026'])
})
