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
  readonly expiresAtMs?: number
  readonly reason?: string
  readonly createdBy: string
  readonly createdAtMs: number
  /** The grant's own ledger account: what is left of it is that account's balance. */
  readonly ledgerAccount: number
}

/**
 * Ledger accounts, in the sense of double entry. `funding` and `revenue` stand once per currency; `grant` once per
 * grant; once per account `receivable`, for what a postpaid account owes, and `breakage`, for its expired credit.
 */
export type LedgerAccountKind = 'funding' | 'revenue' | 'breakage' | 'grant' | 'receivable'

/** `reprice` gives back what a volume price charged too much before it fell; it belongs to the record that made it fall. */
export type TransferKind = 'grant' | 'charge' | 'reprice' | 'expiry'

/** One movement: `amount` nano-units leave `debit` and arrive at `credit`. Append-only, never changed. */
export interface Transfer {
  readonly id: bigint
  readonly kind: TransferKind
  readonly debit: number
  readonly credit: number
  readonly amount: bigint
  /** The usage record that was charged, for a `charge` or a `reprice`. */
  readonly record?: bigint
  readonly atMs: number
}
