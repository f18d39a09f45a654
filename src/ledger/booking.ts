// Bookings: what a payment, a credit note or a payment that bounced moves between the ledger accounts of one account.
import type { LedgerAccountKind, Transfer, TransferKind } from './account.ts'

/** An end of a booked movement: a system account, the account's own debt, or the grant that the booking makes. */
export type BookingEnd = Exclude<LedgerAccountKind, 'breakage'>

/** `amount` nano-units, positive, leave `from` and arrive at `to`. */
export interface BookingEntry {
  readonly kind: Extract<TransferKind, 'payment' | 'rounding' | 'credit-note' | 'bounce'>
  readonly from: BookingEnd
  readonly to: BookingEnd
  readonly amount: bigint
}

export interface Booking {
  /** What arrives at `grant` is the amount of a new grant. */
  readonly entries: readonly BookingEntry[]
  readonly createdBy: string
  readonly reason: string
}

/** What the entries take off the account's debt; negative where they add to it. */
export function debtPaid(entries: readonly BookingEntry[]): bigint {
  return (
    sum(entries, (entry) => entry.to === 'receivable') - sum(entries, (entry) => entry.from === 'receivable')
  )
}

/** What of the entries becomes credit of the account. */
export const credited = (entries: readonly BookingEntry[]): bigint =>
  sum(entries, (entry) => entry.to === 'grant')

const sum = (entries: readonly BookingEntry[], fits: (entry: BookingEntry) => boolean): bigint =>
  entries.reduce((total, entry) => (fits(entry) ? total + entry.amount : total), 0n)

/** The entries as transfers between the ledger accounts that `idOf` finds. */
export function transfersOf(
  entries: readonly BookingEntry[],
  to: { idOf(end: BookingEnd): number; nextId(): bigint; readonly atMs: number },
): Transfer[] {
  return entries.map(({ kind, from, to: end, amount }) => ({
    id: to.nextId(),
    kind,
    debit: to.idOf(from),
    credit: to.idOf(end),
    amount,
    atMs: to.atMs,
  }))
}
