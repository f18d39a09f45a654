// A worst case set aside for one call, and that it is resolved exactly once.
import { assert } from '../base/errors.ts'

/** A worst case set aside for one call. It is resolved exactly once: settled or released. */
export interface Hold {
  readonly accountId: string
  readonly amount: bigint
  readonly state: 'held' | 'settled' | 'released'
}

interface LiveHold {
  accountId: string
  amount: bigint
  state: Hold['state']
}

/** The hold, to be changed; it must not be resolved yet. */
export function liveHold(hold: Hold): LiveHold {
  assert(hold.state === 'held', 'a hold is resolved exactly once')
  return hold
}
