// The ledger accounts that stand once for each currency: where money comes from and where it ends.
import { assert } from '../base/errors.ts'
import type { LedgerAccountKind } from './account.ts'
import type { LedgerAccountRow } from './store.ts'

const kinds = ['funding', 'revenue', 'tax', 'rounding'] as const

export class SystemAccounts {
  readonly #ids = new Map<string, number>()

  /** Takes over those among these rows that are nobody's. */
  note(rows: readonly Pick<LedgerAccountRow, 'id' | 'kind' | 'accountId' | 'currency'>[]): void {
    for (const { id, kind, accountId, currency } of rows)
      if (accountId === null) this.#ids.set(`${kind}:${currency}`, id)
  }

  /** Those that a currency lacks, under new ids; to be noted once they are stored. */
  missing(currency: string, nextId: () => number) {
    return kinds
      .filter((kind) => !this.#ids.has(`${kind}:${currency}`))
      .map((kind) => ({ id: nextId(), kind, accountId: null, currency }))
  }

  get(kind: LedgerAccountKind, currency: string): number {
    const id = this.#ids.get(`${kind}:${currency}`)
    assert(id !== undefined, `the ${kind} account of ${currency} exists`)
    return id
  }
}
