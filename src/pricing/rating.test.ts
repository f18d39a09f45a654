// Guarantees of rating: golden amounts, exactness against an independent oracle, clamps, and the bound of a hold.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAmount, parseDecimal } from '../base/money.ts'
import type { Price, Quantities } from './price.ts'
import { quote } from './quote.ts'
import { breakdown, compilePrice, rate, worstCase } from './rating.ts'
import { runs } from '../../test/harness/fuzz.ts'

const seed = Date.now() & 0x7fffffff
const check = <Value>(property: fc.IPropertyWithHooks<Value>): void => {
  console.log(`fast-check seed ${seed}`)
  fc.assert(property, { seed, numRuns: runs(500) })
}

const amountOf = (price: Price, quantities: Quantities): string =>
  formatAmount(rate(compilePrice(price), quantities))
const call = (bytes: number, durationUs: number): Quantities => ({ calls: 1, bytes, durationUs })

/** The oracle: fractions of bigints, with nothing shared with the code under test but digits. */
interface Fraction {
  readonly top: bigint
  readonly bottom: bigint
}
function fraction(decimal: string): Fraction {
  const [whole = '', part = ''] = decimal.split('.')
  return { top: BigInt(whole + part), bottom: 10n ** BigInt(part.length) }
}
const plus = (a: Fraction, b: Fraction): Fraction => ({
  top: a.top * b.bottom + b.top * a.bottom,
  bottom: a.bottom * b.bottom,
})
const times = (a: Fraction, b: Fraction): Fraction => ({ top: a.top * b.top, bottom: a.bottom * b.bottom })
const below = (a: Fraction, b: Fraction): boolean => a.top * b.bottom < b.top * a.bottom
const whole = (value: number, bottom = 1n): Fraction => ({ top: BigInt(value), bottom })

function exactCost(price: Price, quantities: Quantities): Fraction {
  let cost = times(fraction(price.perCall ?? '0'), whole(quantities.calls))
  cost = plus(cost, times(fraction(price.perKb ?? '0'), whole(quantities.bytes, 1024n)))
  cost = plus(cost, times(fraction(price.perSecond ?? '0'), whole(quantities.durationUs, 1_000_000n)))
  if (price.minimum !== undefined && below(cost, fraction(price.minimum))) cost = fraction(price.minimum)
  if (price.maximum !== undefined && below(fraction(price.maximum), cost)) cost = fraction(price.maximum)
  return cost
}
/** Half away from zero, by the remainder. */
function toNano({ top, bottom }: Fraction): bigint {
  const scaled = top * 1_000_000_000n
  return scaled / bottom + ((scaled % bottom) * 2n >= bottom ? 1n : 0n)
}

const decimal = fc
  .tuple(fc.bigInt({ min: 0n, max: 999_999n }), fc.integer({ min: 0, max: 12 }), fc.bigInt({ min: 0n }))
  .map(([head, places, digits]) => {
    const part = digits.toString().slice(0, places)
    return part === '' ? `${head}` : `${head}.${part}`
  })
const small = fc.oneof(decimal, fc.constantFrom('0', '0.000000000001', '0.0000000005', '0.001', '0.0005'))
const rates = fc.record({ perCall: small, perKb: small, perSecond: small }, { requiredKeys: [] })
const clamped = fc
  .tuple(rates, small, small, fc.boolean(), fc.boolean())
  .map(([price, a, b, low, high]): Price => {
    const [least, most] = below(fraction(a), fraction(b)) ? [a, b] : [b, a]
    return { ...price, ...(low ? { minimum: least } : {}), ...(high ? { maximum: most } : {}) }
  })
const quantities = fc.record({
  calls: fc.constant(1),
  bytes: fc.oneof(fc.nat(), fc.nat(4096), fc.constant(2 ** 40)),
  durationUs: fc.oneof(fc.nat(), fc.nat(2_000_000)),
})

describe('golden amounts', () => {
  const combined: Price = { perCall: '0.001', perKb: '0.0005', perSecond: '0.01' }
  test.each<[string, Price, Quantities, string]>([
    ['a call, its data and its time', combined, call(512 + 1536, 250_000), '0.0045'],
    ['nothing but the call', combined, call(0, 0), '0.001'],
    ['a free rule', { perCall: '0' }, call(5000, 90_000_000), '0'],
    ['one byte, rounded up from 488.28… nano', { perKb: '0.0005' }, call(1, 0), '0.000000488'],
    ['half a nano, away from zero', { perCall: '0.0000000005' }, call(0, 0), '0.000000001'],
    ['less than half a nano', { perCall: '0.000000000499' }, call(0, 0), '0'],
    ['one byte of a price with twelve decimals', { perKb: '0.000000512' }, call(1, 0), '0.000000001'],
    ['the minimum of a cheap call', { ...combined, minimum: '0.005' }, call(2048, 250_000), '0.005'],
    ['the maximum of a dear call', { ...combined, maximum: '0.002' }, call(2048, 250_000), '0.002'],
    ['a minimum alone is a price per call', { minimum: '0.25' }, call(9, 9), '0.25'],
    ['equal clamps', { perCall: '7', minimum: '0.3', maximum: '0.3' }, call(0, 0), '0.3'],
    ['a terabyte for a week', combined, call(2 ** 40, 7 * 86_400_000_000), '542918.913'],
    [
      'the largest safe byte count',
      { perKb: '0.0005' },
      call(Number.MAX_SAFE_INTEGER, 0),
      '4398046511.103999512',
    ],
    ['a million a second', { perSecond: '1000000' }, call(0, 1), '1'],
  ])('%s', (_, price, used, amount) => {
    expect(amountOf(price, used)).toBe(amount)
  })
})

describe('rating', () => {
  test('agrees with exact fractions rounded once', () => {
    check(
      fc.property(clamped, quantities, (price, used) => {
        expect(rate(compilePrice(price), used)).toBe(toNano(exactCost(price, used)))
      }),
    )
  })

  test('the unrounded amount does not depend on how usage is split or ordered', () => {
    const parts = fc.array(fc.record({ calls: small, kb: small, seconds: small }), { maxLength: 8 })
    check(
      fc.property(rates, parts, fc.nat(), (price, list, turn) => {
        const sum = (numbers: string[]): string =>
          numbers.reduce((total, next) => total + (parseDecimal(next, 12) ?? 0n), 0n).toString()
        const join = (name: 'calls' | 'kb' | 'seconds'): string => {
          const digits = sum(list.map((part) => part[name])).padStart(13, '0')
          return `${digits.slice(0, -12)}.${digits.slice(-12)}`
        }
        const together = quote(price, { calls: join('calls'), kb: join('kb'), seconds: join('seconds') })
        const turned = [...list.slice(turn % (list.length + 1)), ...list.slice(0, turn % (list.length + 1))]
        const apart = turned.reduce((total, part) => total + units(quote(price, part).amount), 0n)
        expect(units(together.amount)).toBe(apart)
      }),
    )
  })

  test('never falls when a quantity grows, and the worst case within caps bounds every call', () => {
    check(
      fc.property(clamped, quantities, fc.nat(), fc.nat(), (price, used, bytes, us) => {
        const compiled = compilePrice(price)
        const more = { calls: 1, bytes: used.bytes + bytes, durationUs: used.durationUs + us }
        expect(rate(compiled, more)).toBeGreaterThanOrEqual(rate(compiled, used))
        const caps = { requestBytes: bytes, responseBytes: used.bytes, durationUs: more.durationUs }
        expect(worstCase(compiled, caps)).toBeGreaterThanOrEqual(rate(compiled, used))
      }),
    )
  })

  test('stays between the clamps of the price', () => {
    check(
      fc.property(clamped, quantities, (price, used) => {
        const compiled = compilePrice(price)
        const cost = rate(compiled, used)
        if (price.minimum !== undefined) expect(cost).toBeGreaterThanOrEqual(toNano(fraction(price.minimum)))
        if (price.maximum !== undefined) {
          expect(cost).toBeLessThanOrEqual(toNano(fraction(price.maximum)))
          const endless = { requestBytes: 2 ** 50, responseBytes: 2 ** 50, durationUs: 2 ** 50 }
          expect(worstCase(compiled, endless)).toBeLessThanOrEqual(toNano(fraction(price.maximum)))
        }
      }),
    )
  })

  test('a breakdown has the amount that was charged, and its lines sum to it', () => {
    check(
      fc.property(clamped, quantities, (price, used) => {
        const compiled = compilePrice(price)
        const { amount, lines } = breakdown(compiled, used)
        expect(amount).toBe(formatAmount(rate(compiled, used)))
        expect(lines.reduce((sum, line) => sum + units(line.amount), 0n)).toBe(units(amount))
      }),
    )
  })

  test('costs less than 2 µs a call', () => {
    const compiled = compilePrice({ perCall: '0.001', perKb: '0.0005', perSecond: '0.01', maximum: '5' })
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < 20; round++) {
      const start = performance.now()
      for (let i = 0; i < 10_000; i++) rate(compiled, { calls: 1, bytes: 2048 + i, durationUs: 250_000 + i })
      best = Math.min(best, (performance.now() - start) / 10)
    }
    console.log(`rate: ${best.toFixed(3)} µs`)
    expect(best).toBeLessThan(2)
  })
})

const units = (text: string): bigint => parseDecimal(text, 24) ?? -1n

describe('quotes', () => {
  test('list each component with its exact amount', () => {
    const price = { perCall: '0.001', perKb: '0.0005', perSecond: '0.01' }
    expect(quote(price, { calls: '1', kb: '2', seconds: '0.25' })).toEqual({
      amount: '0.0045',
      currency: 'USD',
      lines: [
        { component: 'perCall', quantity: '1', unitPrice: '0.001', amount: '0.001' },
        { component: 'perKb', quantity: '2', unitPrice: '0.0005', amount: '0.001' },
        { component: 'perSecond', quantity: '0.25', unitPrice: '0.01', amount: '0.0025' },
      ],
    })
  })

  test('are not rounded', () => {
    const price = { perKb: '0.000000000001' }
    expect(quote(price, { kb: '0.000000000001' }, 'JPY')).toMatchObject({
      amount: '0.000000000000000000000001',
      currency: 'JPY',
    })
  })

  test('clamp each of several calls, not their sum', () => {
    const price = { perCall: '0.001', minimum: '0.01', maximum: '0.5' }
    expect(quote(price, { calls: '1' }).amount).toBe('0.01')
    expect(quote(price, { calls: '1000' }).amount).toBe('10')
    expect(quote({ perCall: '1', maximum: '0.5' }, { calls: '3' })).toMatchObject({
      amount: '1.5',
      lines: [{ component: 'perCall' }, { component: 'maximum', quantity: '3', amount: '-1.5' }],
    })
    expect(quote({ perKb: '1', maximum: '0.5' }, { kb: '9' }).amount).toBe('0.5')
  })

  test('name every quantity that is unknown, negative or malformed', () => {
    const usage = { calls: '-1', kb: '1e3', seconds: '0.0000000000001', minutes: '4' } as object
    expect(() => quote({ perCall: '1' }, usage)).toThrow(
      expect.objectContaining({
        code: 'validation_failed',
        fields: ['/usage/calls', '/usage/kb', '/usage/seconds', '/usage/minutes'].map((field) =>
          expect.objectContaining({ field }),
        ),
      }),
    )
    expect(() => quote({ perCall: '1' }, { calls: 1 as unknown as string })).toThrow(
      expect.objectContaining({ code: 'validation_failed' }),
    )
  })
})
