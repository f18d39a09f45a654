// Takes, grows and resolves holds: against the wallet of an account, or against a payment for one call.
import { assert } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import type { Grant, Transfer } from './account.ts'
import { liveHold, type Backing, type Hold } from './hold.ts'
import type { GrantInput } from './input.ts'
import type { SystemAccounts } from './system-accounts.ts'
import type { TransferMaker } from './transfer-maker.ts'
import type { Wallet } from './wallet.ts'

/** Far below the 63 bits of a column, so that sums of many calls still fit. */
const maxAmount = 10n ** 15n

/** The transfer that funds a grant which is made and used up by one call; the grant commits with it. */
export interface SpentGrantFunding extends Transfer {
  readonly spentGrant: Grant
  readonly currency: string
}

interface HoldsParts {
  readonly clock: Clock
  readonly system: SystemAccounts
  readonly transfers: TransferMaker
  readonly newGrant: (accountId: string, input: GrantInput) => Grant
  readonly breakageOf: (accountId: string) => number
}

interface Paid {
  readonly cost: bigint
  readonly record: bigint
}

export class Holds {
  readonly #parts: HoldsParts

  constructor(parts: HoldsParts) {
    this.#parts = parts
  }

  /**
   * Sets `amount` aside, or returns undefined where a prepaid account, or the payment that stands behind the call, does
   * not cover it (or no column could hold it).
   */
  hold(wallet: Wallet, amount: bigint, backing?: Backing): Hold | undefined {
    if (amount > maxAmount) return undefined
    if (backing) {
      if (amount > backing.most) return undefined
    } else {
      if (!wallet.covers(amount, this.#parts.clock.now())) return undefined
      wallet.hold(amount)
    }
    return { accountId: wallet.account.id, amount, state: 'held', backing }
  }

  /** Makes a live hold larger; false where the account, or the payment, does not cover the rest. */
  extend(wallet: Wallet, hold: Hold, amount: bigint): boolean {
    const live = liveHold(hold)
    const more = amount - live.amount
    if (more <= 0n) return true
    if (amount > maxAmount) return false
    if (live.backing) {
      if (amount > live.backing.most) return false
    } else {
      if (!wallet.covers(more, this.#parts.clock.now())) return false
      wallet.hold(more)
    }
    live.amount = amount
    return true
  }

  /**
   * Replaces the hold by the real cost; returns what commits together with the usage record. A cost below zero is given
   * back.
   */
  settle(wallet: Wallet, hold: Hold, { cost, record }: Paid): Transfer[] {
    const live = liveHold(hold)
    live.state = 'settled'
    if (!live.backing) wallet.release(live.amount)
    if (cost === 0n) return []
    const { clock, system, transfers } = this.#parts
    const revenue = system.get('revenue', wallet.account.currency)
    const now = clock.now()
    if (cost < 0n) {
      const { ledgerAccount: credit } = wallet.refund(-cost)
      const draw = { ledgerAccount: revenue, amount: -cost }
      return [transfers.make('reprice', draw, { credit, now, record })]
    }
    const isWithin = cost <= live.amount
    if (live.backing) {
      assert(isWithin, 'a charge never passes the payment for its call')
      return this.#passThrough(wallet, live.backing, { cost, record })
    }
    assert(wallet.account.mode === 'postpaid' || isWithin, 'a charge never passes its hold')
    return wallet
      .charge(cost, now)
      .map((draw) => transfers.make('charge', draw, { credit: revenue, now, record }))
  }

  /**
   * The payment for one call as a grant that the call uses up: funding → grant → revenue. What the smallest unit of the
   * payment is coarser than the cost expires at once, so that nothing of it becomes credit of the account.
   */
  #passThrough(wallet: Wallet, backing: Backing, { cost, record }: Paid): Transfer[] {
    const { clock, system, transfers, newGrant, breakageOf } = this.#parts
    const { id, currency } = wallet.account
    const [now, amount] = [clock.now(), backing.received(cost)]
    assert(cost <= amount && amount <= backing.most, 'a payment covers the cost of its call')
    const { createdBy, reason } = backing
    const isCoarse = amount > cost
    const input = { amount, priority: 0, createdBy, reason, ...(isCoarse && { expiresAtMs: now }) }
    const grant = newGrant(id, input)
    const { ledgerAccount } = grant
    const funding = { ledgerAccount: system.get('funding', currency), amount }
    const received: SpentGrantFunding = {
      ...transfers.make('grant', funding, { credit: ledgerAccount, now }),
      spentGrant: grant,
      currency,
    }
    const entries: Transfer[] = [
      received,
      transfers.make(
        'charge',
        { ledgerAccount, amount: cost },
        { credit: system.get('revenue', currency), now, record },
      ),
    ]
    if (isCoarse) {
      const rest = { ledgerAccount, amount: amount - cost }
      entries.push(transfers.make('expiry', rest, { credit: breakageOf(id), now }))
    }
    wallet.passThrough(amount, cost)
    return entries
  }

  /** Gives the hold back without a charge. */
  release(wallet: Wallet, hold: Hold): void {
    const live = liveHold(hold)
    live.state = 'released'
    if (!live.backing) wallet.release(live.amount)
  }
}
