// The shapes of accounts, grants and transfers: who pays, with what, and every movement of it.

export type AccountMode = 'prepaid' | 'postpaid'
export type AccountKind = 'organisation' | 'team' | 'user' | 'key'

/** Someone who pays. `prepaid` accounts cannot go below zero; `postpaid` ones are metered and owe. */
export interface Account {
  readonly id: string
  readonly parentId?: string
  readonly kind: AccountKind
  readonly name: string
  /** The user whose account it is, where it is a user's. */
  readonly ownerId?: string
  readonly mode: AccountMode
  readonly currency: string
  /** IANA zone of the account's billing periods. */
  readonly timeZone: string
  /** The price book of its plan. */
  readonly plan?: string
  /** The price book that was made for it. */
  readonly priceBook?: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** Credit put on an account. Burn order: priority ascending, then earliest expiry, then oldest. */
export interface Grant {
  readonly id: string
  readonly accountId: string
  /** Nano-units of the account's currency; positive. */
  readonly amount: bigint
  readonly priority: number
  /** When it can be spent first; at once where absent. */
  readonly startsAtMs?: number
  readonly expiresAtMs?: number
  /** When it was taken back. */
  readonly voidedAtMs?: number
  readonly reason?: string
  readonly createdBy: string
  readonly createdAtMs: number
  /** The grant's own ledger account: what is left of it is that account's balance. */
  readonly ledgerAccount: number
}

export type GrantState = 'scheduled' | 'active' | 'exhausted' | 'expired' | 'voided'

/** A grant with what is left of it. */
export interface GrantView {
  readonly grant: Grant
  readonly remaining: bigint
  readonly state: GrantState
}

/** An expired grant stays `expired` and a voided one `voided`, whatever running calls still hold of it. */
export function grantState(grant: Grant, remaining: bigint, nowMs: number): GrantState {
  if (grant.voidedAtMs !== undefined) return 'voided'
  if (isExpired(grant, nowMs)) return 'expired'
  if (remaining === 0n) return 'exhausted'
  return isScheduled(grant, nowMs) ? 'scheduled' : 'active'
}

export const isExpired = (grant: Grant, nowMs: number): boolean =>
  grant.expiresAtMs !== undefined && grant.expiresAtMs <= nowMs

export const isScheduled = (grant: Grant, nowMs: number): boolean =>
  grant.startsAtMs !== undefined && grant.startsAtMs > nowMs

/**
 * Ledger accounts, in the sense of double entry. `funding`, `revenue`, `tax` and `rounding` (what invoices rounded)
 * stand once per currency; `grant` once per grant; once per account `receivable`, for what a postpaid account owes, and
 * `breakage`, for its expired credit.
 */
export type LedgerAccountKind =
  | 'funding'
  | 'revenue'
  | 'breakage'
  | 'grant'
  | 'receivable'
  | 'tax'
  | 'rounding'

/**
 * `reprice` gives back what a volume price charged too much before it fell; it belongs to the record that made it fall.
 * `void` takes what a voided grant has left back to where it came from. `payment`, `rounding` and `credit-note` are those
 * of invoices. An `adjustment` is a correction. A `bounce` takes back a payment for a call that could not be settled after it.
 */
export type TransferKind =
  | 'grant'
  | 'charge'
  | 'reprice'
  | 'expiry'
  | 'void'
  | 'payment'
  | 'rounding'
  | 'credit-note'
  | 'adjustment'
  | 'bounce'

/** One movement: `amount` nano-units leave `debit` and arrive at `credit`. Append-only, never changed. */
export interface Transfer {
  readonly id: bigint
  readonly kind: TransferKind
  readonly debit: number
  readonly credit: number
  readonly amount: bigint
  /** The usage record that was charged, for a `charge` or a `reprice`; the one that is put right, for an `adjustment`. */
  readonly record?: bigint
  readonly atMs: number
}

/** A correction by an administrator: above zero the balance rises, below it falls. Nano-units. */
export interface AdjustmentInput {
  readonly amount: bigint
  readonly reason: string
  readonly createdBy: string
  /** The usage record that is put right. */
  readonly record?: bigint
}

export interface Adjustment extends AdjustmentInput {
  readonly id: string
  readonly accountId: string
  readonly atMs: number
  readonly transfers: readonly Transfer[]
}
