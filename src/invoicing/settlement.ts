// What a payment or a credit note moves in the ledger, and how much an invoice has left for either. Pure; nano-units.
import { assert } from '../base/errors.ts'
import { divideRounded, parseAmount } from '../base/money.ts'
import type { BookingEntry } from '../ledger/booking.ts'
import { roundAmount } from './allocation.ts'
import type { CreditNote, InvoiceContent } from './invoice.ts'

/** What an invoice comes to, less its credit notes. */
export interface Standing {
  readonly currency: string
  /** Net and tax that were not credited yet. */
  readonly net: bigint
  readonly tax: bigint
  /** Of the net, what is still to be paid: rounded as on the invoice, and exact as the ledger's debt has it. */
  readonly due: bigint
  readonly debt: bigint
  /** The invoice's net and tax before any credit. */
  readonly fullNet: bigint
  readonly fullTax: bigint
}

/** How a credit note divides: `net + tax` is its total. */
export interface Credit {
  readonly net: bigint
  readonly tax: bigint
  /** Of the net: what less is due, and what the ledger's debt falls by. */
  readonly offDue: bigint
  readonly offDebt: bigint
  /** What becomes credit of the account. */
  readonly granted: bigint
  readonly entries: readonly BookingEntry[]
}

type PastCredit = Pick<CreditNote, 'net' | 'tax' | 'offDue' | 'offDebt'>

export function standingOf(content: InvoiceContent, notes: readonly PastCredit[]): Standing {
  const past = (name: keyof PastCredit): bigint => notes.reduce((sum, note) => sum + note[name], 0n)
  const [subtotal, total] = [read(content.subtotal), read(content.total)]
  const [applied, exact] = [read(content.appliedCredit), read(content.exactTotal)]
  return {
    currency: content.currency,
    net: subtotal - past('net'),
    tax: total - subtotal - past('tax'),
    due: subtotal - applied - past('offDue'),
    debt: exact - read(content.exactAppliedCredit) - past('offDebt'),
    fullNet: subtotal,
    fullTax: total - subtotal,
  }
}

/** What is still to be paid of an invoice that is not paid. */
export const leftToPay = ({ due, tax }: Standing): bigint => due + tax

/**
 * A payment of all that is left: the debt in the ledger goes to zero, tax to its account, and what the invoice rounded
 * comes from or goes to `rounding`.
 */
export function paymentEntries({ due, debt, tax }: Standing): BookingEntry[] {
  // What repricing gave back stands as credit on the account already.
  if (due < 0n) return []
  const paid = due < debt ? due : debt
  const entries: BookingEntry[] = [
    { kind: 'payment', from: 'funding', to: 'receivable', amount: paid },
    { kind: 'payment', from: 'funding', to: 'rounding', amount: due - paid },
    { kind: 'payment', from: 'funding', to: 'tax', amount: tax },
    { kind: 'rounding', from: 'rounding', to: 'receivable', amount: debt - paid },
  ]
  return entries.filter(({ amount }) => amount > 0n)
}

/** A total to credit, divided in the proportion of the invoice's net and tax. At most what is left of both. */
export function divideGross(total: bigint, { currency, net, tax, fullNet, fullTax }: Standing): bigint {
  const share = roundAmount(divideRounded(total * fullNet, fullNet + fullTax), currency)
  const [least, most] = [total - tax, total < net ? total : net]
  return share < least ? least : share > most ? most : share
}

/** The tax that goes with a net amount to credit; all that is left with all that is left. */
export function taxOn(net: bigint, standing: Standing): bigint {
  if (net === standing.net || standing.fullNet === 0n) return standing.tax
  const share = roundAmount(divideRounded(net * standing.fullTax, standing.fullNet), standing.currency)
  return share < standing.tax ? share : standing.tax
}

/**
 * A credit note: it first lowers what is due, and the debt in the ledger with it; what is left of it, and all of it on
 * an invoice that is paid, becomes a grant. Tax that was not paid yet is in no ledger account.
 */
export function creditOf(
  net: bigint,
  tax: bigint,
  { standing, isPaid }: { standing: Standing; isPaid: boolean },
): Credit {
  const offDue = isPaid ? 0n : smaller(net, standing.due)
  const offDebt = smaller(offDue, standing.debt)
  const netGrant = net - offDue
  const taxGrant = isPaid ? tax : 0n
  const entries: BookingEntry[] = [
    { kind: 'credit-note', from: 'revenue', to: 'receivable', amount: offDebt },
    { kind: 'credit-note', from: 'revenue', to: 'grant', amount: netGrant },
    { kind: 'credit-note', from: 'tax', to: 'grant', amount: taxGrant },
  ]
  return {
    net,
    tax,
    offDue,
    offDebt,
    granted: netGrant + taxGrant,
    entries: entries.filter(({ amount }) => amount > 0n),
  }
}

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b)

function read(text: string): bigint {
  const amount = parseAmount(text)
  assert(amount !== undefined, 'a document has decimal amounts')
  return amount
}
