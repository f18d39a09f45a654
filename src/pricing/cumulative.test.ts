// Guarantees of prices that count over a period: an oracle of decimals agrees, and calls add up in any order and split.
import { Decimal } from 'decimal.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDecimal, rateScale } from '../base/money.ts'
import type { Price, Quantities, Tiers } from './price.ts'
import { quote } from './quote.ts'
import { breakdown, compilePrice, rate, worstCase } from './rating.ts'
import { runs } from '../../test/harness/fuzz.ts'

const Exact = Decimal.clone({ precision: 200, rounding: Decimal.ROUND_HALF_UP })
const seed = Math.floor(Math.random() * 2 ** 31)
console.log(`fast-check seed ${seed}`)
const decimal = fc
  .tuple(fc.nat(99), fc.nat(10 ** 6))
  .map(([whole, part]) => `${whole}.${String(part).padStart(7, '0')}`)

const tiersOf = (unit: Tiers['unit'], mode: Tiers['mode']) =>
  fc
    .array(
      fc.record({
        width: fc.integer({ min: 1, max: 40 }),
        unitPrice: decimal,
        flatPrice: fc.option(decimal, { nil: undefined }),
      }),
      {
        minLength: 1,
        maxLength: 5,
      },
    )
    .map((parts): Tiers => {
      let end = 0
      const steps = parts.map(({ width, unitPrice, flatPrice }, index) => {
        end += width
        const upTo = index === parts.length - 1 ? null : String(end)
        return { upTo, unitPrice, ...(flatPrice !== undefined && { flatPrice }) }
      })
      return { mode, unit, period: 'month', per: 'account', steps }
    })
const unit = fc.constantFrom<Tiers['unit'][]>('call', 'kb', 'second', 'token')
const tiers = fc
  .tuple(unit, fc.constantFrom('graduated' as const, 'volume' as const))
  .chain(([one, mode]) => tiersOf(one, mode))
const counting = { period: 'month', per: 'account' } as const
const pack = fc.record({
  unit,
  size: fc.integer({ min: 1, max: 50 }).map(String),
  price: decimal,
  free: fc.nat(20).map(String),
})
const share = fc.record({ rate: decimal, fixed: decimal, free: decimal })
const cumulative: fc.Arbitrary<Price> = fc
  .oneof(
    tiers.map((own): Price => ({ tiers: own })),
    pack.map((own): Price => ({ package: { ...own, ...counting } })),
    share.map((own): Price => ({ percentage: { ...own, of: 'upstreamCost', ...counting } })),
  )
  .chain((price) =>
    fc.option(decimal, { nil: undefined }).map((flat) => (flat === undefined ? price : { ...price, flat })),
  )
const call: fc.Arbitrary<Quantities> = fc.record({
  calls: fc.constant(1),
  bytes: fc.nat(60_000),
  durationUs: fc.nat(20_000_000),
  tokens: fc.nat(30),
  upstreamCost: fc.bigInt(0n, 10n ** 10n),
})

/** The amount of a whole period, out of nothing but the price's own words. */
function oracle(price: Price, used: Record<'call' | 'kb' | 'second' | 'token' | 'cost', Decimal>): Decimal {
  let sum = new Exact(price.flat ?? 0)
  if (price.tiers) {
    const quantity = used[price.tiers.unit]
    const { steps, mode } = price.tiers
    if (mode === 'volume') {
      const step = steps.find(({ upTo }) => upTo === null || quantity.lte(upTo))
      return sum.plus(quantity.times(step?.unitPrice ?? 0)).plus(step?.flatPrice ?? 0)
    }
    let from = new Exact(0)
    for (const [index, { upTo, unitPrice, flatPrice }] of steps.entries()) {
      if (index > 0 && quantity.lte(from)) break
      const to = upTo === null ? quantity : Exact.min(quantity, upTo)
      sum = sum.plus(to.minus(from).times(unitPrice)).plus(flatPrice ?? 0)
      from = new Exact(upTo ?? quantity)
    }
  }
  if (price.package) {
    const { size, price: each, free = '0', unit: counted } = price.package
    const rest = Exact.max(0, used[counted].minus(free))
    sum = sum.plus(rest.div(size).ceil().times(each))
  }
  if (price.percentage) {
    const { rate: part, free = '0' } = price.percentage
    sum = sum.plus(Exact.max(0, used.cost.minus(free)).times(part))
  }
  return sum
}

function used(calls: readonly Quantities[]) {
  const total = (read: (one: Quantities) => Decimal): Decimal =>
    calls.reduce((sum, one) => sum.plus(read(one)), new Exact(0))
  return {
    call: total(() => new Exact(1)),
    kb: total(({ bytes }) => new Exact(bytes).div(1024)),
    second: total(({ durationUs }) => new Exact(durationUs).div(1_000_000)),
    token: total(({ tokens = 0 }) => new Exact(tokens)),
    cost: total(({ upstreamCost = 0n }) => new Exact(upstreamCost.toString()).div(1e9)),
  }
}

/** Calls one after another, each at what was counted before it. */
function play(price: Price, calls: readonly Quantities[]): { costs: bigint[]; counted: bigint | undefined } {
  const rates = compilePrice(price)
  let counted: bigint | undefined
  const costs = calls.map((quantities) => {
    const cost = rate(rates, quantities, counted)
    counted = (counted ?? 0n) + (rates.cumulative?.countOf(quantities) ?? 0n)
    return cost
  })
  return { costs, counted }
}

const sumOf = (costs: readonly bigint[]): bigint => costs.reduce((sum, cost) => sum + cost, 0n)
const assertAll = <Values extends [unknown, ...unknown[]]>(property: fc.IProperty<Values>): void =>
  fc.assert(property, { seed, numRuns: runs(300) })

describe('the calls of a period', () => {
  test('cost together what an oracle of decimals makes of their quantities, rounded once', () => {
    assertAll(
      fc.property(cumulative, fc.array(call, { minLength: 1, maxLength: 12 }), (price, calls) => {
        const expected = oracle(price, used(calls)).times(1e9).toFixed(0, Decimal.ROUND_HALF_UP)
        const rated = {
          ...price,
          ...(price.percentage && { percentage: { ...price.percentage, fixed: '0' } }),
        }
        expect(sumOf(play(rated, calls).costs).toString()).toBe(expected)
      }),
    )
  })

  test('cost the same in any order and however they are split', () => {
    assertAll(
      fc.property(
        cumulative,
        fc.array(call, { minLength: 1, maxLength: 10 }),
        fc.nat(),
        (price, calls, turn) => {
          const at = turn % calls.length
          const other = [...calls.slice(at), ...calls.slice(0, at)].toReversed()
          expect(sumOf(play(price, other).costs)).toBe(sumOf(play(price, calls).costs))
        },
      ),
    )
  })

  test('up to one point and from there to another cost what they cost to the other', () => {
    const quantity = fc.bigInt(0n, 10n ** 8n)
    assertAll(
      fc.property(cumulative, quantity, quantity, (price, first, more) => {
        const curve = compilePrice(price).cumulative
        fc.pre(curve !== undefined)
        const whole = curve.costOf(first + more, undefined)
        expect(curve.costOf(first, undefined) + curve.costOf(more, first)).toBe(whole)
      }),
    )
  })

  test('never cost less for more of it, but where a volume price falls', () => {
    assertAll(
      fc.property(cumulative, fc.array(call, { minLength: 1, maxLength: 10 }), (price, calls) => {
        fc.pre(price.tiers?.mode !== 'volume')
        for (const cost of play(price, calls).costs) expect(cost >= 0n).toBe(true)
      }),
    )
  })

  test('are held for what they cost, whatever settles before them', () => {
    assertAll(
      fc.property(
        cumulative,
        fc.array(call, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(), { minLength: 8, maxLength: 8 }),
        (price, calls, order) => {
          const rates = compilePrice(price)
          const { counted } = play(price, calls.slice(0, 2))
          const flight = calls.slice(2)
          let ahead = 0n
          let held = 0n
          for (const { bytes, durationUs, tokens, upstreamCost } of flight) {
            const caps = { requestBytes: 0, responseBytes: bytes, durationUs, tokens, upstreamCost }
            held += worstCase(rates, caps, { before: counted, ahead })
            ahead +=
              rates.cumulative?.countOf({
                calls: 1,
                bytes,
                durationUs,
                tokens: tokens ?? 0,
                upstreamCost: upstreamCost ?? 0n,
              }) ?? 0n
          }
          const settled = flight
            .map((one, index) => ({ one, key: order[index] ?? 0 }))
            .toSorted((a, b) => a.key - b.key)
            .map(({ one }) => one)
          let before = counted
          let cost = 0n
          for (const one of settled) {
            cost += rate(rates, one, before)
            before = (before ?? 0n) + (rates.cumulative?.countOf(one) ?? 0n)
          }
          expect(cost <= held).toBe(true)
        },
      ),
    )
  })

  test('where the price is even are held for the same, whatever is ahead of them', () => {
    let even = 0
    assertAll(
      fc.property(
        cumulative,
        fc.array(call, { minLength: 1, maxLength: 8 }),
        fc.nat(7),
        (price, calls, place) => {
          const curve = compilePrice(price).cumulative
          fc.pre(curve !== undefined)
          const split = place % calls.length
          const { counted: before } = play(price, calls.slice(0, split))
          const flight = calls.slice(split).map((one) => curve.countOf(one))
          const all = sumOf(flight)
          if (!curve.isEven({ before, ahead: all })) return
          even++
          for (const own of flight)
            for (const ahead of [0n, (all - own) / 2n, all - own])
              expect(curve.mostOf(own, { before, ahead })).toBe(curve.mostOf(own, { before, ahead: 0n }))
        },
      ),
    )
    expect(even).toBeGreaterThan(20)
  })

  test('show lines that sum to their cost', () => {
    assertAll(
      fc.property(cumulative, fc.array(call, { minLength: 1, maxLength: 5 }), (price, calls) => {
        const last = calls.at(-1)
        if (!last) return
        const { counted } = play(price, calls.slice(0, -1))
        const { amount, lines } = breakdown(compilePrice(price), last, counted)
        const sum = lines.reduce((all, line) => all.plus(line.amount), new Exact(0))
        expect(sum.eq(amount), JSON.stringify(lines)).toBe(true)
      }),
    )
  })
})

test('a quote of a period is what the oracle says, unrounded', () => {
  assertAll(
    fc.property(cumulative, decimal, decimal, (price, quantity, cost) => {
      const usage = { calls: quantity, kb: quantity, seconds: quantity, tokens: quantity, upstreamCost: cost }
      const [each, of] = [new Exact(quantity), new Exact(cost)]
      let expected = oracle(price, { call: each, kb: each, second: each, token: each, cost: of })
      if (price.percentage?.fixed && of.gt(0)) expected = expected.plus(price.percentage.fixed)
      expect(new Exact(quote(price, usage).amount).eq(expected)).toBe(true)
      expect(parseDecimal(quantity, rateScale)).toBeDefined()
    }),
  )
})

describe('the words of the contract', () => {
  const step = (upTo: string | null, unitPrice: string, flatPrice?: string) => ({
    upTo,
    unitPrice,
    ...(flatPrice && { flatPrice }),
  })
  const amountOf = (price: object, usage: object): string => quote(price, usage).amount
  const steps = [step('10', '1', '5'), step('20', '0.5', '7'), step(null, '0.1')]
  const graduated = { tiers: { mode: 'graduated', unit: 'call', ...counting, steps } }
  const volume = { tiers: { ...graduated.tiers, mode: 'volume' } }

  test.each([
    ['0', '5', '5'],
    ['10', '15', '15'],
    ['10.5', '22.25', '12.25'],
    ['20', '27', '17'],
    ['21', '27.1', '2.1'],
  ])('%s calls cost %s in graduated steps and %s by volume', (calls, inSteps, byVolume) => {
    expect(amountOf(graduated, { calls })).toBe(inSteps)
    expect(amountOf(volume, { calls })).toBe(byVolume)
  })

  test('every started package is charged, beyond the free units', () => {
    const price = { package: { unit: 'kb', size: '1000', price: '3', free: '100', ...counting } }
    const amounts = ['0', '100', '100.000000000001', '1100', '1101', '2800'].map((kb) =>
      amountOf(price, { kb }),
    )
    expect(amounts).toEqual(['0', '0', '3', '3', '6', '9'])
  })

  test('a fee is due once, and clamps are those of one call', () => {
    expect(amountOf({ flat: '5', perCall: '1' }, { calls: '10' })).toBe('15')
    expect(
      play(
        { flat: '5', perCall: '1' },
        Array.from({ length: 3 }, () => ({ calls: 1, bytes: 0, durationUs: 0 })),
      ).costs,
    ).toEqual([6_000_000_000n, 1_000_000_000n, 1_000_000_000n])
    expect(rate(compilePrice({ flat: '5', maximum: '2' }), { calls: 1, bytes: 0, durationUs: 0 })).toBe(
      2_000_000_000n,
    )
  })

  test('a call that adds nothing is held for nothing, though another may enter a step', () => {
    const { cumulative: curve } = compilePrice({
      tiers: { mode: 'graduated', unit: 'token', ...counting, steps },
    })
    expect(curve?.mostOf(1n, { before: 10n, ahead: 1n })).toBe(7_500_000_000n)
    expect(curve?.mostOf(0n, { before: 10n, ahead: 1n })).toBe(0n)
  })

  test('a volume price that falls gives back what was charged too much', () => {
    const price: Price = {
      tiers: { mode: 'volume', unit: 'call', ...counting, steps: [step('15', '10'), step(null, '5')] },
    }
    const { costs } = play(
      price,
      Array.from({ length: 16 }, () => ({ calls: 1, bytes: 0, durationUs: 0 })),
    )
    expect(costs.slice(0, 15).every((cost) => cost === 10n ** 10n)).toBe(true)
    expect(costs[15]).toBe(-70n * 10n ** 9n)
  })
})
