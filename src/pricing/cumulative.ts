// The part of a price that depends on what was counted before: steps, packages, shares with an allowance, flat fees.
import { assert } from '../base/errors.ts'
import { divideRounded, formatDecimal, ledgerScale, parseDecimal, rateScale } from '../base/money.ts'
import type { CounterSubject, Package, Percentage, Price, PricePeriod, Quantities, Tiers } from './price.ts'
import type { PriceLine } from './rating.ts'

/** Decimals of a rate times a quantity. */
export const exactScale = 2 * rateScale
export const one = 10n ** BigInt(rateScale)
const exactPerNano = 10n ** BigInt(exactScale - ledgerScale)

/** What is counted; `none` where only a flat fee is due. */
export type CountedUnit = 'call' | 'kb' | 'second' | 'token' | 'upstreamCost' | 'none'

/** Base units (calls, bytes, microseconds, tokens, nano-units) as the priced unit with 12 decimals: each is exact. */
const scaledPerBase: Readonly<Record<CountedUnit, bigint>> = {
  call: one,
  kb: one / 1024n,
  second: one / 1_000_000n,
  token: one,
  upstreamCost: 10n ** BigInt(rateScale - ledgerScale),
  none: 0n,
}

/** The exact amount (`exactScale`) of a cumulative quantity with 12 decimals, and the lines that it consists of. */
interface Curve {
  amountAt(quantity: bigint): bigint
  linesAt(quantity: bigint): PriceLine[]
  /** Not less than the most that `quantity` more can cost anywhere from `from` to `from + ahead`. */
  most(span: { readonly from: bigint; readonly ahead: bigint; readonly quantity: bigint }): bigint
  /** Whether `most` is the same with nothing ahead and with anything ahead, as long as all of it lies between these two. */
  isEven(from: bigint, to: bigint): boolean
}

/**
 * An amount as a function of the quantity of a whole period. A call pays the difference that it makes, in nano-units
 * that are rounded as sums: so the calls of a period add up to the rounded amount of their quantities in any order.
 */
export class Cumulative {
  readonly unit: CountedUnit
  readonly period: PricePeriod
  readonly per: CounterSubject
  readonly #curve: Curve
  readonly #flat: bigint

  constructor(price: Price, curve: Curve | undefined) {
    const { tiers, percentage, package: pack } = price
    const counted = tiers ?? pack ?? percentage
    this.unit = tiers?.unit ?? pack?.unit ?? (percentage ? 'upstreamCost' : 'none')
    this.period = counted?.period ?? 'month'
    this.per = counted?.per ?? 'account'
    this.#curve = curve ?? nothing
    this.#flat = read(price.flat) * one
  }

  /** The base units of a call that are counted. */
  countOf({ calls, bytes, durationUs, tokens = 0, upstreamCost = 0n }: Quantities): bigint {
    switch (this.unit) {
      case 'call':
        return BigInt(calls)
      case 'kb':
        return BigInt(bytes)
      case 'second':
        return BigInt(durationUs)
      case 'token':
        return BigInt(tokens)
      case 'upstreamCost':
        return upstreamCost
      default:
        return 0n
    }
  }

  /** What `count` more base units cost, in nano-units; `before` is undefined where the period has none yet. Below zero where a volume price falls. */
  costOf(count: bigint, before: bigint | undefined): bigint {
    return this.#nanoAt((before ?? 0n) + count) - (before === undefined ? 0n : this.#nanoAt(before))
  }

  /**
   * Not less than what `count` more base units cost, in nano-units, wherever they come: now, or after up to `ahead` base
   * units of others that are on their way. Summed over calls in flight it covers them in any order, since a call that
   * came later was held for the stretch behind those before it.
   */
  mostOf(count: bigint, { before, ahead }: { before: bigint | undefined; ahead: bigint }): bigint {
    const scale = scaledPerBase[this.unit]
    const span = { from: (before ?? 0n) * scale, ahead: ahead * scale, quantity: count * scale }
    const start = before === undefined ? this.#flat + this.#curve.amountAt(0n) : 0n
    // Who adds nothing enters no step, though what is ahead of them may.
    const most = (count === 0n ? 0n : this.#curve.most(span)) + start
    // Amounts are rounded as sums, so that a difference may be rounded up, and never by more.
    return most <= 0n ? 0n : (most + exactPerNano - 1n) / exactPerNano
  }

  /** Whether `mostOf` a call does not depend on what comes before it of the `ahead` base units that it is one of. */
  isEven({ before, ahead }: { before: bigint | undefined; ahead: bigint }): boolean {
    const from = this.scaled(before ?? 0n)
    return this.#curve.isEven(from, from + this.scaled(ahead))
  }

  /** The exact amount of a period with this quantity (12 decimals), and its lines; `flat` is due once. */
  rateExactly(quantity: bigint): { readonly amount: bigint; readonly lines: PriceLine[] } {
    const lines = this.#curve.linesAt(quantity)
    if (this.#flat !== 0n) lines.push(lineOf('flat', one, { amount: this.#flat }))
    return { amount: this.#curve.amountAt(quantity) + this.#flat, lines }
  }

  /** Base units with 12 decimals of the priced unit. */
  scaled(count: bigint): bigint {
    return count * scaledPerBase[this.unit]
  }

  #nanoAt(count: bigint): bigint {
    return divideRounded(this.#curve.amountAt(this.scaled(count)) + this.#flat, exactPerNano)
  }
}

/** The cumulative part of a valid price, or undefined where it has none. */
export function compileCumulative(price: Price): Cumulative | undefined {
  const { tiers, percentage, package: pack, flat } = price
  const curve = tiers
    ? tiersCurve(tiers)
    : pack
      ? packageCurve(pack)
      : percentage && percentageCurve(percentage)
  return curve || read(flat) !== 0n ? new Cumulative(price, curve) : undefined
}

const nothing: Curve = { amountAt: () => 0n, linesAt: () => [], most: () => 0n, isEven: () => true }

interface Step {
  /** Quantities above `from` and up to `to` belong to it; no `to` has no end. */
  readonly from: bigint
  readonly to: bigint | undefined
  readonly unitPrice: bigint
  readonly flatPrice: bigint
}

function readSteps({ steps }: Tiers): Step[] {
  let from = 0n
  return steps.map(({ upTo, unitPrice, flatPrice }) => {
    const to = upTo === null ? undefined : read(upTo)
    const step = { from, to, unitPrice: read(unitPrice), flatPrice: read(flatPrice) * one }
    from = to ?? from
    return step
  })
}

const tiersCurve = (tiers: Tiers): Curve =>
  tiers.mode === 'graduated' ? new Graduated(readSteps(tiers)) : new Volume(readSteps(tiers))

class Graduated implements Curve {
  readonly #steps: readonly Step[]

  constructor(steps: readonly Step[]) {
    this.#steps = steps
  }

  amountAt(quantity: bigint): bigint {
    return this.#entered(quantity).reduce(
      (sum, step) => sum + partOf(step, quantity) * step.unitPrice + step.flatPrice,
      0n,
    )
  }

  linesAt(quantity: bigint): PriceLine[] {
    return this.#entered(quantity).flatMap((step) => stepLines(step, partOf(step, quantity)))
  }

  /** The dearest unit price within reach, and every flat price that may be entered: no stretch of that length costs more. */
  most({ from, ahead, quantity }: { from: bigint; ahead: bigint; quantity: bigint }): bigint {
    const end = from + ahead + quantity
    const reached = this.#steps.filter((step) => step.from < end && (step.to === undefined || step.to > from))
    const dearest = reached.reduce((most, { unitPrice }) => (unitPrice > most ? unitPrice : most), 0n)
    const flat = reached.reduce(
      (sum, step) => (step.from >= from && step.from > 0n ? sum + step.flatPrice : sum),
      0n,
    )
    const bound = dearest * quantity + flat
    const whole = this.amountAt(end) - this.amountAt(from)
    return bound < whole ? bound : whole
  }

  isEven(from: bigint, to: bigint): boolean {
    return this.#steps.some((step) => step.from <= from && (step.to === undefined || to <= step.to))
  }

  /** The first step counts at quantity 0 too. */
  #entered(quantity: bigint): readonly Step[] {
    return this.#steps.filter(({ from }, index) => index === 0 || quantity > from)
  }
}

class Volume implements Curve {
  readonly #steps: readonly Step[]

  constructor(steps: readonly Step[]) {
    this.#steps = steps
  }

  amountAt(quantity: bigint): bigint {
    const { unitPrice, flatPrice } = this.#reached(quantity)
    return unitPrice * quantity + flatPrice
  }

  linesAt(quantity: bigint): PriceLine[] {
    return stepLines(this.#reached(quantity), quantity)
  }

  /** A line within each step, so that the extremes lie at the ends of steps and right behind them. */
  most({ from, ahead, quantity }: { from: bigint; ahead: bigint; quantity: bigint }): bigint {
    const end = from + ahead + quantity
    if (this.isEven(from, end)) return this.#reached(end).unitPrice * quantity
    const ends = this.#steps.flatMap(({ to }) => (to === undefined ? [] : [to, to + 1n]))
    const amounts = [from, end, ...ends.filter((at) => at > from && at < end)].map((at) => this.amountAt(at))
    const [first = 0n] = amounts
    const [least, most] = amounts.reduce(
      ([low, high], amount) => [amount < low ? amount : low, amount > high ? amount : high],
      [first, first],
    )
    return most - least
  }

  isEven(from: bigint, to: bigint): boolean {
    return this.#reached(from) === this.#reached(to)
  }

  #reached(quantity: bigint): Step {
    const step = this.#steps.find(({ to }) => to === undefined || quantity <= to)
    assert(step, 'the last step of a stored price has no end')
    return step
  }
}

function packageCurve(pack: Package): Curve {
  const [size, price, free] = [read(pack.size), read(pack.price), read(pack.free)]
  const count = (quantity: bigint): bigint => (quantity <= free ? 0n : (quantity - free + size - 1n) / size)
  return {
    amountAt: (quantity) => count(quantity) * price * one,
    linesAt: (quantity) => {
      const packages = count(quantity) * one
      return packages === 0n
        ? []
        : [lineOf('package', packages, { unitPrice: price, amount: packages * price })]
    },
    // No stretch starts more packages than its own length in packages, rounded up.
    most: ({ from, ahead, quantity }) => {
      const whole = count(from + ahead + quantity) - count(from)
      const own = (quantity + size - 1n) / size
      return (own < whole ? own : whole) * price * one
    },
    isEven: (from, to) => count(from) === count(to),
  }
}

function percentageCurve(percentage: Percentage): Curve {
  const [share, free] = [read(percentage.rate), read(percentage.free)]
  const counted = (quantity: bigint): bigint => (quantity > free ? quantity - free : 0n)
  return {
    amountAt: (quantity) => counted(quantity) * share,
    linesAt: (quantity) => {
      const part = counted(quantity)
      return part === 0n ? [] : [lineOf('percentage', part, { unitPrice: share, amount: part * share })]
    },
    most: ({ quantity }) => quantity * share,
    isEven: () => true,
  }
}

/** How much of a quantity lies in a step. */
function partOf({ from, to }: Step, quantity: bigint): bigint {
  if (quantity <= from) return 0n
  return (to !== undefined && to < quantity ? to : quantity) - from
}

function stepLines({ unitPrice, flatPrice }: Step, quantity: bigint): PriceLine[] {
  const lines: PriceLine[] = []
  if (quantity !== 0n) lines.push(lineOf('tier', quantity, { unitPrice, amount: unitPrice * quantity }))
  if (flatPrice !== 0n) lines.push(lineOf('tierFlat', one, { amount: flatPrice }))
  return lines
}

function lineOf(
  component: PriceLine['component'],
  quantity: bigint,
  { unitPrice, amount }: { unitPrice?: bigint; amount: bigint },
): PriceLine {
  return {
    component,
    quantity: formatDecimal(quantity, rateScale),
    ...(unitPrice !== undefined && { unitPrice: formatDecimal(unitPrice, rateScale) }),
    amount: formatDecimal(amount, exactScale),
  }
}

function read(text = '0'): bigint {
  const value = parseDecimal(text, rateScale)
  assert(value !== undefined && value >= 0n, 'a stored price holds decimals that are not negative')
  return value
}
