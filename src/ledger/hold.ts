// A hold: a worst case set aside for one call, resolved exactly once.
import { assert } from '../base/errors.ts'

/** What stands behind a hold instead of the account's own money: a payment for this one call. */
export interface Backing {
  /** What it covers, in nano-units. */
  readonly most: bigint
  /** Who brought it and why, for the grant that it becomes. */
  readonly createdBy: string
  readonly reason: string
  /** What is taken of it for a cost above zero: that, or more where its smallest unit is coarser; at most `most`. */
  received(cost: bigint): bigint
}

/** A worst case set aside for one call. It is resolved exactly once: settled or released. */
export interface Hold {
  readonly accountId: string
  readonly amount: bigint
  readonly state: 'held' | 'settled' | 'released'
  readonly backing: Backing | undefined
}

/** A hold as its ledger changes it. */
interface LiveHold {
  accountId: string
  amount: bigint
  state: Hold['state']
  backing: Backing | undefined
}

/** The hold for a change; throws where it was resolved already. */
export function liveHold(hold: Hold): LiveHold {
  assert(hold.state === 'held', 'a hold is resolved exactly once')
  return hold
}
