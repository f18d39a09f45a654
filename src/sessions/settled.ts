// Settled calls: what one cost, and the news of it for those who watch costs as they happen.
import type { Ledger } from '../ledger/ledger.ts'
import type { UsageRecord } from '../usage/record.ts'
import type { Settlement } from '../x402/settlements.ts'

/** What a settled call cost, for the answer and for those who watch. */
export interface Settled {
  readonly record: UsageRecord
  /**
   * What the account has after this call. Computed when it is first read: whoever shows it reads it on hearing of the
   * call, before others settle.
   */
  readonly balance: bigint
  /** Of the payment that came with the call. */
  readonly payment?: Settlement
}

export class SettledCall implements Settled {
  readonly record: UsageRecord
  readonly #ledger: Pick<Ledger, 'totals'>
  #balance: bigint | undefined

  constructor(record: UsageRecord, ledger: Pick<Ledger, 'totals'>) {
    this.record = record
    this.#ledger = ledger
  }

  get balance(): bigint {
    return (this.#balance ??= this.#ledger.totals(this.record.accountId).balance)
  }
}

/** A settled call with what became of its payment. */
export const withPayment = ({ record, balance }: Settled, payment: Settlement): Settled => ({
  record,
  balance,
  payment,
})

type Listener = (settled: Settled) => void

/** Tells every listener of each call once its record is durable. A listener must be quick and must not throw. */
export class SettledCalls {
  readonly #listeners = new Set<Listener>()

  /** Returns how to stop listening. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  publish(settled: Settled): void {
    for (const listener of this.#listeners) listener(settled)
  }
}
