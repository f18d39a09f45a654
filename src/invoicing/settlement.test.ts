// Guarantees of payments and credit notes: an invoice's debt ends at zero, and no more is credited than it has.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatAmount } from '../base/money.ts'
import type { BookingEntry } from '../ledger/booking.ts'
import { formatMoney, splitByPayer } from './amounts.ts'
import { roundAmount } from './allocation.ts'
import type { InvoiceContent } from './invoice.ts'
import {
  creditOf,
  divideGross,
  leftToPay,
  paymentEntries,
  standingOf,
  taxOn,
  type Credit,
} from './settlement.ts'
import { runs } from '../../test/harness/fuzz.ts'

const cent = 10_000_000n

function invoiceOf(exact: bigint, applied: bigint, taxCents: bigint): InvoiceContent {
  const parts = splitByPayer(exact, applied, 'USD')
  return {
    currency: 'USD',
    exactTotal: formatAmount(exact),
    exactAppliedCredit: formatAmount(applied),
    subtotal: formatMoney(parts.subtotal, 'USD'),
    appliedCredit: formatMoney(parts.applied, 'USD'),
    total: formatMoney(parts.subtotal + taxCents * cent, 'USD'),
  } as InvoiceContent
}

/** Balances of the ends of entries: what arrived less what left. */
function balances(entries: readonly BookingEntry[]): Map<string, bigint> {
  const sums = new Map<string, bigint>()
  for (const { from, to, amount } of entries) {
    expect(amount).toBeGreaterThan(0n)
    sums.set(from, (sums.get(from) ?? 0n) - amount)
    sums.set(to, (sums.get(to) ?? 0n) + amount)
  }
  return sums
}

const someInvoice = fc
  .tuple(fc.bigInt(1n, 10n ** 12n), fc.bigInt(0n, 100n), fc.bigInt(0n, 3000n))
  .map(([exact, share, tax]) => invoiceOf(exact, (exact * share) / 100n, tax))
const someCredits = fc.array(
  fc.record({ permille: fc.integer({ min: 1, max: 1000 }), net: fc.boolean(), late: fc.boolean() }),
  {
    maxLength: 8,
  },
)

test('whatever is credited before and after the payment, the debt ends at zero and cash, credit and tax agree', () => {
  fc.assert(
    fc.property(someInvoice, someCredits, (content, steps) => {
      const notes: Credit[] = []
      const entries: BookingEntry[] = []
      const credit = (permille: number, byNet: boolean, isPaid: boolean) => {
        const standing = standingOf(content, notes)
        const left = byNet ? standing.net : standing.net + standing.tax
        const asked = roundAmount((left * BigInt(permille)) / 1000n, 'USD')
        if (asked === 0n) return
        const net = byNet ? asked : divideGross(asked, standing)
        const tax = byNet ? taxOn(net, standing) : asked - net
        expect(net >= 0n && tax >= 0n && net <= standing.net && tax <= standing.tax).toBe(true)
        const made = creditOf(net, tax, { standing, isPaid })
        notes.push(made)
        entries.push(...made.entries)
      }
      for (const { permille, net, late } of steps) if (!late) credit(permille, net, false)
      const atPayment = standingOf(content, notes)
      expect(leftToPay(atPayment)).toBeGreaterThanOrEqual(0n)
      const payment = paymentEntries(atPayment)
      entries.push(...payment)
      for (const { permille, net, late } of steps) if (late) credit(permille, net, true)
      const ends = balances(entries)
      const full = standingOf(content, [])
      expect(ends.get('receivable') ?? 0n).toBe(full.debt)
      expect(-(ends.get('funding') ?? 0n)).toBe(leftToPay(atPayment))
      const granted = notes.reduce((sum, note) => sum + note.granted, 0n)
      expect(ends.get('grant') ?? 0n).toBe(granted)
      const credited = notes.reduce((sum, note) => sum + note.net + note.tax, 0n)
      expect(credited).toBeLessThanOrEqual(full.fullNet + full.fullTax)
      const rounding = ends.get('rounding') ?? 0n
      expect(rounding < cent && rounding > -cent).toBe(true)
      expect([...ends.values()].reduce((sum, value) => sum + value, 0n)).toBe(0n)
    }),
    { numRuns: runs(1000) },
  )
})

test('crediting all of an invoice leaves nothing to pay and nothing to credit', () => {
  fc.assert(
    fc.property(someInvoice, (content) => {
      const standing = standingOf(content, [])
      const total = standing.net + standing.tax
      if (total === 0n) return
      const net = divideGross(total, standing)
      expect([net, total - net]).toEqual([standing.net, standing.tax])
      const credit = creditOf(net, total - net, { standing, isPaid: false })
      const after = standingOf(content, [credit])
      expect([after.net, after.tax, leftToPay(after)]).toEqual([0n, 0n, 0n])
    }),
  )
})
