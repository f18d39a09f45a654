// Makes transfers, each under an id of its own that grows with time.
import { CallIds } from '../base/id.ts'
import type { Clock } from '../base/clock.ts'
import type { Transfer } from './account.ts'
import type { Draw } from './wallet.ts'

export class TransferMaker {
  readonly #ids: CallIds

  /** `last` is the newest id in the store. */
  constructor(clock: Clock, last: bigint) {
    this.#ids = new CallIds(clock, { last })
  }

  nextId(): bigint {
    return this.#ids.next()
  }

  /** What was drawn, on its way to the ledger account `credit`. */
  make(
    kind: Transfer['kind'],
    draw: Draw,
    to: { readonly credit: number; readonly now: number; readonly record?: bigint },
  ): Transfer {
    return {
      id: this.nextId(),
      kind,
      debit: draw.ledgerAccount,
      credit: to.credit,
      amount: draw.amount,
      atMs: to.now,
      ...(to.record !== undefined && { record: to.record }),
    }
  }
}
