// Guarantees of prices that count while calls run at once: in whatever order they settle, what ran is paid to the full.
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ordinaryCall } from '../../test/harness/metering.ts'
import { openMoney, type Money } from '../../test/harness/money.ts'
import { compilePrice, rate } from '../pricing/rating.ts'
import type { Price } from '../pricing/price.ts'
import type { Charge } from './charge.ts'
import { runs } from '../../test/harness/fuzz.ts'

const seed = Math.floor(Math.random() * 2 ** 31)
console.log(`fast-check seed ${seed}`)
let money: Money
let users = 0
beforeAll(async () => {
  money = await openMoney()
})
afterAll(() => money.close())

const counting = { period: 'month', per: 'account' } as const
const nano = 10n ** 9n
/** A call that makes use of all that is held for its bytes at first. */
const own = { calls: 1, bytes: 200 + 4096, durationUs: 0 }

/** What so many calls cost together. */
function totalOf(price: Price, calls: number): bigint {
  const rates = compilePrice(price)
  let sum = 0n
  const each = rates.cumulative?.countOf(own) ?? 0n
  for (let before = 0; before < calls; before++)
    sum += rate(rates, own, before === 0 ? undefined : BigInt(before) * each)
  return sum
}

const dearer = (...steps: [string | null, string][]): Price => ({
  tiers: {
    mode: 'graduated',
    unit: 'call',
    ...counting,
    steps: steps.map(([upTo, unitPrice]) => ({ upTo, unitPrice })),
  },
})
const prices: Record<string, Price> = {
  dearer: dearer(['3', '1'], [null, '2']),
  'free first': dearer(['4', '0'], [null, '1']),
  cheaper: dearer(['3', '2'], [null, '1']),
  packages: { package: { unit: 'call', size: '4', price: '3', ...counting } },
  volume: {
    tiers: {
      mode: 'volume',
      unit: 'call',
      ...counting,
      steps: [
        { upTo: '3', unitPrice: '2' },
        { upTo: null, unitPrice: '1' },
      ],
    },
  },
  'kilobytes that get dearer': {
    tiers: {
      mode: 'graduated',
      unit: 'kb',
      ...counting,
      steps: [
        { upTo: '6', unitPrice: '0.1' },
        { upTo: '12', unitPrice: '0' },
        { upTo: null, unitPrice: '0.3', flatPrice: '1' },
      ],
    },
  },
  'kilobytes by volume': {
    tiers: {
      mode: 'volume',
      unit: 'kb',
      ...counting,
      steps: [
        { upTo: '9', unitPrice: '0.1' },
        { upTo: '22', unitPrice: '0.3' },
        { upTo: null, unitPrice: '0.2' },
      ],
    },
  },
  fee: { flat: '5', perCall: '1' },
}

/** Positive: a new call. Else: the call in flight at that place ends; billed or not. */
const step = fc.oneof(
  fc.constant('begin' as const),
  fc.record({ place: fc.nat(20), isBilled: fc.nat(9).map((roll) => roll > 0) }),
)

/** A prepaid account with a price of its own. */
async function newPayer(price: Price, credit: bigint): Promise<string> {
  const accountId = await money.addAccount(`usr_${++users}`, 'prepaid')
  await money.ledger.grant(accountId, { amount: credit, priority: 0, createdBy: 'test' })
  await money.rules.create({ name: `price ${users}`, match: { account: accountId }, currency: 'USD', price })
  return accountId
}

/** Settles at once; the record's cost. */
function settle(charge: Charge, outcome: 'success' | 'error' | 'denied'): bigint {
  let cost = 0n
  const end = {
    outcome,
    statusCode: 200,
    responseBytes: own.bytes - ordinaryCall.requestBytes,
    free: outcome === 'denied',
  }
  const settled = new Promise<void>((done) =>
    charge.settle(end, (_error, { record }) => {
      cost = record.cost
      done()
    }),
  )
  waiting.push(settled.then(() => cost))
  return cost
}
let waiting: Promise<bigint>[] = []

test.each(Object.entries(prices))(
  '%s',
  async (_name, price) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 60 }),
        fc.integer({ min: 1, max: 14 }),
        async (play, credit) => {
          const accountId = await newPayer(price, BigInt(credit) * nano)
          waiting = []
          const flight: Charge[] = []
          let billed = 0
          const end = ({ place, isBilled }: { place: number; isBilled: boolean }): void => {
            const [charge] = flight.splice(place % Math.max(1, flight.length), 1)
            if (!charge) return
            settle(charge, isBilled ? 'success' : 'error')
            if (isBilled) billed++
          }
          for (const one of play) {
            if (one !== 'begin') {
              end(one)
              continue
            }
            const { charge, refusal } = money.metering.begin({ ...ordinaryCall, accountId })
            if (refusal) settle(charge, 'denied')
            else flight.push(charge)
          }
          while (flight.length > 0) end({ place: 0, isBilled: true })
          const costs = await Promise.all(waiting)
          const charged = costs.reduce((sum, cost) => sum + cost, 0n)
          expect(charged).toBe(totalOf(price, billed))
          expect(charged <= BigInt(credit) * nano).toBe(true)
        },
      ),
      { seed, numRuns: runs(400), interruptAfterTimeLimit: 8000, markInterruptAsFailure: false },
    )
  },
  20_000,
)
