// What one account can spend, in memory: grants in burn order, what is owed, and what is held. Pure; no clock, no store.
import { assert } from '../base/errors.ts'
import type { Account, Grant } from './account.ts'

/** A part of a charge: so much out of one ledger account. */
export interface Draw {
  readonly ledgerAccount: number
  readonly amount: bigint
  /** The grant whose ledger account it is, where it is one's. */
  readonly grant?: Grant
}

interface Purse {
  readonly grant: Grant
  remaining: bigint
}

/** Totals of a wallet in nano-units. `balance` = granted − spent − expired; negative on a postpaid account that owes. */
export interface WalletTotals {
  readonly balance: bigint
  readonly held: bigint
  readonly granted: bigint
  readonly spent: bigint
  readonly expired: bigint
}

export interface WalletLoad {
  readonly account: Account
  readonly receivable: number
  readonly owed: bigint
  readonly expired: bigint
  readonly grants: readonly { grant: Grant; remaining: bigint }[]
}

/** Burn order: priority ascending, earliest expiry first and never last, oldest first. */
function inBurnOrder(a: Purse, b: Purse): number {
  return (
    a.grant.priority - b.grant.priority ||
    (a.grant.expiresAtMs ?? Infinity) - (b.grant.expiresAtMs ?? Infinity) ||
    (a.grant.id < b.grant.id ? -1 : 1)
  )
}

/**
 * Invariants: held is the sum of the live holds; a prepaid wallet never holds more than its unexpired grants have left,
 * so whatever is settled within its hold is covered, also when a grant expires in between.
 */
export class Wallet {
  account: Account
  /** The ledger account of what is owed. */
  readonly receivable: number
  #purses: Purse[]
  #owed: bigint
  #held = 0n
  #granted = 0n
  #spent: bigint
  #expired: bigint

  constructor({ account, receivable, owed, expired, grants }: WalletLoad) {
    this.account = account
    this.receivable = receivable
    this.#owed = owed
    this.#expired = expired
    for (const { grant } of grants) this.#granted += grant.amount
    const remaining = grants.reduce((sum, grant) => sum + grant.remaining, 0n)
    this.#spent = this.#granted - remaining - expired + owed
    this.#purses = grants
      .filter((grant) => grant.remaining > 0n)
      .map((grant) => ({ ...grant }))
      .sort(inBurnOrder)
  }

  /** Takes over the live holds of the wallet that this one replaces after a reload. */
  adoptHolds(held: bigint): void {
    this.#held = held
  }

  totals(nowMs: number): WalletTotals {
    return {
      balance: this.#unexpired(nowMs) - this.#owed,
      held: this.#held,
      granted: this.#granted,
      spent: this.#spent,
      expired: this.#expired,
    }
  }

  /** What a new hold may take. */
  available(nowMs: number): bigint {
    return this.#unexpired(nowMs) - this.#owed - this.#held
  }

  /** Whether `amount` may be held now; a postpaid account is never refused. */
  covers(amount: bigint, nowMs: number): boolean {
    return this.account.mode === 'postpaid' || amount === 0n || this.available(nowMs) >= amount
  }

  hold(amount: bigint): void {
    this.#held += amount
  }

  release(amount: bigint): void {
    this.#held -= amount
    assert(this.#held >= 0n, 'held never falls below zero')
  }

  /** Takes `amount` out of the grants in burn order; what they do not cover is owed. */
  charge(amount: bigint): Draw[] {
    const draws: Draw[] = []
    let open = amount
    while (open > 0n) {
      const purse = this.#purses[0]
      if (!purse) break
      const part = purse.remaining < open ? purse.remaining : open
      purse.remaining -= part
      open -= part
      draws.push({ ledgerAccount: purse.grant.ledgerAccount, amount: part, grant: purse.grant })
      if (purse.remaining === 0n) this.#purses.shift()
    }
    if (open > 0n) {
      this.#owed += open
      draws.push({ ledgerAccount: this.receivable, amount: open })
    }
    this.#spent += amount
    return draws
  }

  /** Gives `amount` back: it is owed less, or kept as a credit that stands behind the grants. */
  refund(amount: bigint): Draw {
    this.#owed -= amount
    this.#spent -= amount
    return { ledgerAccount: this.receivable, amount }
  }

  /** Undoes a charge that could not be written. */
  takeBack(draws: readonly Draw[]): void {
    for (const { amount, grant } of draws) {
      this.#spent -= amount
      const purse = this.#purses.find((each) => each.grant.id === grant?.id)
      if (purse) purse.remaining += amount
      else if (grant) this.#purses.push({ grant, remaining: amount })
      else this.#owed -= amount
    }
    this.#purses.sort(inBurnOrder)
  }

  addGrant(grant: Grant): void {
    this.#granted += grant.amount
    this.#purses.push({ grant, remaining: grant.amount })
    this.#purses.sort(inBurnOrder)
  }

  /** Takes out what expired grants have left, but never what live holds may still need. */
  expire(nowMs: number): Draw[] {
    let free = this.#purses.reduce((sum, purse) => sum + purse.remaining, 0n) - this.#held
    const draws: Draw[] = []
    for (const purse of this.#purses) {
      if (!isExpired(purse.grant, nowMs) || free <= 0n) continue
      const part = purse.remaining < free ? purse.remaining : free
      purse.remaining -= part
      free -= part
      this.#expired += part
      draws.push({ ledgerAccount: purse.grant.ledgerAccount, amount: part })
    }
    if (draws.length > 0) this.#purses = this.#purses.filter((purse) => purse.remaining > 0n)
    return draws
  }

  get held(): bigint {
    return this.#held
  }

  #unexpired(nowMs: number): bigint {
    let sum = 0n
    for (const purse of this.#purses) if (!isExpired(purse.grant, nowMs)) sum += purse.remaining
    return sum
  }
}

const isExpired = (grant: Grant, nowMs: number): boolean =>
  grant.expiresAtMs !== undefined && grant.expiresAtMs <= nowMs
