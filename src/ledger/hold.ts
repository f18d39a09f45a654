// A hold: a worst case set aside for one call, resolved exactly once.
import { assert } from '../base/errors.ts'

/** A worst case set aside for one call. It is resolved exactly once: settled or released. */
export interface Hold {
  readonly accountId: string
  readonly amount: bigint
  readonly state: 'held' | 'settled' | 'released'
}

/** A hold as its ledger changes it. */
interface LiveHold {
  accountId: string
  amount: bigint
  state: Hold['state']
}

/** The hold for a change; throws where it was resolved already. */
export function liveHold(hold: Hold): LiveHold {
  assert(hold.state === 'held', 'a hold is resolved exactly once')
  return hold
}
