// What one account can spend, in memory: grants in burn order, what is owed, and what is held. Pure; no clock, no store.
import { assert } from '../base/errors.ts'
import { isExpired, isScheduled, type Account, type Grant } from './account.ts'

/** A part of a charge: so much out of one ledger account. */
export interface Draw {
  readonly ledgerAccount: number
  readonly amount: bigint
  /** The grant whose ledger account it is, where it is one's. */
  readonly grant?: Grant
}

interface Purse {
  grant: Grant
  remaining: bigint
}

/** What leaves a grant without a charge, and why. */
export interface Reclaim extends Draw {
  readonly kind: 'expiry' | 'void'
}

/**
 * Totals of a wallet in nano-units. `balance` = granted + paid − spent − expired − voided − scheduled; negative on a
 * postpaid account that owes.
 */
export interface WalletTotals {
  readonly balance: bigint
  readonly held: bigint
  readonly granted: bigint
  readonly spent: bigint
  readonly expired: bigint
  readonly voided: bigint
  /** What grants have that begin later. */
  readonly scheduled: bigint
}

export interface WalletLoad {
  readonly account: Account
  readonly receivable: number
  /** What invoices took off the debt: payments, credit notes and their rounding. */
  readonly paid: bigint
  /** What of it is still open; below zero where more was paid. */
  readonly owed: bigint
  readonly expired: bigint
  readonly voided: bigint
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
  /** Grants that were taken back, by id: some have nothing left now and get something back later. */
  readonly #voidGrants = new Map<string, Grant>()
  #owed: bigint
  #held = 0n
  #granted = 0n
  #spent: bigint
  #expired: bigint
  #voided: bigint

  constructor({ account, receivable, paid, owed, expired, voided, grants }: WalletLoad) {
    this.account = account
    this.receivable = receivable
    this.#owed = owed
    this.#expired = expired
    this.#voided = voided
    for (const { grant } of grants) this.#granted += grant.amount
    const remaining = grants.reduce((sum, grant) => sum + grant.remaining, 0n)
    this.#spent = this.#granted - remaining - expired - voided + owed + paid
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
      balance: this.#usable(nowMs) - this.#owed,
      held: this.#held,
      granted: this.#granted,
      spent: this.#spent,
      expired: this.#expired,
      voided: this.#voided,
      scheduled: this.#scheduled(nowMs),
    }
  }

  /** What a new hold may take. */
  available(nowMs: number): bigint {
    return this.#usable(nowMs) - this.#owed - this.#held
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

  /**
   * Takes `amount` out of the grants in burn order, and out of those that begin later only what is owed otherwise on a
   * prepaid account; what no grant covers is owed.
   */
  charge(amount: bigint, nowMs: number): Draw[] {
    const draws: Draw[] = []
    const open = this.#draw(draws, amount, (grant) => !isScheduled(grant, nowMs))
    // A clock that was set back must not make a prepaid account owe what was covered when it was held.
    const rest = open > 0n && this.account.mode === 'prepaid' ? this.#draw(draws, open, () => true) : open
    if (rest > 0n) {
      this.#owed += rest
      draws.push({ ledgerAccount: this.receivable, amount: rest })
    }
    this.#spent += amount
    return draws
  }

  /** Draws on the grants that may be; returns what they do not cover. */
  #draw(draws: Draw[], amount: bigint, may: (grant: Grant) => boolean): bigint {
    let open = amount
    let emptied = false
    for (const purse of this.#purses) {
      if (open === 0n) break
      if (!may(purse.grant)) continue
      const part = purse.remaining < open ? purse.remaining : open
      purse.remaining -= part
      open -= part
      draws.push({ ledgerAccount: purse.grant.ledgerAccount, amount: part, grant: purse.grant })
      emptied ||= purse.remaining === 0n
    }
    if (emptied) this.#purses = this.#purses.filter((purse) => purse.remaining > 0n)
    return open
  }

  /** Gives `amount` back: it is owed less, or kept as a credit that stands behind the grants. */
  refund(amount: bigint): Draw {
    this.#owed -= amount
    this.#spent -= amount
    return { ledgerAccount: this.receivable, amount }
  }

  /** A grant that one call brought with it and used up; what it had more than the call cost has expired. */
  passThrough(granted: bigint, spent: bigint): void {
    this.#granted += granted
    this.#spent += spent
    this.#expired += granted - spent
  }

  /** Undoes a charge that could not be written. */
  takeBack(draws: readonly Draw[]): void {
    for (const { amount, grant } of draws) {
      this.#spent -= amount
      const purse = this.#purses.find((each) => each.grant.id === grant?.id)
      if (purse) purse.remaining += amount
      else if (grant) this.#purses.push({ grant: this.#now(grant), remaining: amount })
      else this.#owed -= amount
    }
    this.#purses.sort(inBurnOrder)
  }

  /** Takes what was paid off the debt. */
  pay(amount: bigint): void {
    this.#owed -= amount
  }

  addGrant(grant: Grant): void {
    this.#granted += grant.amount
    this.#purses.push({ grant: this.#now(grant), remaining: grant.amount })
    this.#purses.sort(inBurnOrder)
  }

  /** Marks a grant as taken back: no new hold may count on it. */
  voidGrant(grant: Grant): void {
    this.#voidGrants.set(grant.id, grant)
    for (const purse of this.#purses) if (purse.grant.id === grant.id) purse.grant = grant
  }

  /** The grant as it is now: who brings it may not know that it was taken back. */
  #now(grant: Grant): Grant {
    return this.#voidGrants.get(grant.id) ?? grant
  }

  /** What is left of a grant. */
  remaining(grantId: string): bigint {
    return this.#purses.find(({ grant }) => grant.id === grantId)?.remaining ?? 0n
  }

  /** Takes out what expired and voided grants have left, but never what live holds may still need. */
  reclaim(nowMs: number): Reclaim[] {
    let free = -this.#held
    for (const { grant, remaining } of this.#purses) if (!isScheduled(grant, nowMs)) free += remaining
    const draws: Reclaim[] = []
    for (const purse of this.#purses) {
      const { grant } = purse
      const isVoid = grant.voidedAtMs !== undefined
      if (!isVoid && !isExpired(grant, nowMs)) continue
      // What has not begun yet is nobody's hold.
      const most = isScheduled(grant, nowMs) ? purse.remaining : free
      const part = purse.remaining < most ? purse.remaining : most
      if (part <= 0n) continue
      purse.remaining -= part
      if (!isScheduled(grant, nowMs)) free -= part
      if (isVoid) this.#voided += part
      else this.#expired += part
      draws.push({ ledgerAccount: grant.ledgerAccount, amount: part, kind: isVoid ? 'void' : 'expiry' })
    }
    if (draws.length > 0) this.#purses = this.#purses.filter((purse) => purse.remaining > 0n)
    return draws
  }

  get held(): bigint {
    return this.#held
  }

  #usable(nowMs: number): bigint {
    let sum = 0n
    for (const { grant, remaining } of this.#purses) if (isUsable(grant, nowMs)) sum += remaining
    return sum
  }

  #scheduled(nowMs: number): bigint {
    let sum = 0n
    for (const { grant, remaining } of this.#purses)
      if (grant.voidedAtMs === undefined && isScheduled(grant, nowMs)) sum += remaining
    return sum
  }
}

const isUsable = (grant: Grant, nowMs: number): boolean =>
  grant.voidedAtMs === undefined && !isExpired(grant, nowMs) && !isScheduled(grant, nowMs)
