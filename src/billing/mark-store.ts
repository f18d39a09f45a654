// What a store holds at one moment, in a few numbers that a copy of it must have too.
import { sql } from 'kysely'
import { formatAmount } from '../base/money.ts'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'

/** Money as decimal strings. */
export interface Mark {
  readonly records: number
  readonly transfers: number
  /** Of all transfers, by currency. */
  readonly totals: readonly { readonly currency: string; readonly amount: string }[]
}

interface TotalRow {
  currency: string
  transfers: bigint
  units: bigint
  nanos: bigint
}

export class MarkStore {
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
  }

  /** Counts every record and adds up every transfer. */
  async read(): Promise<Mark> {
    const [records] = await this.#sql.read(sql<{ count: bigint }>`select count(*) as count from usage_record`)
    // In two parts: the sum of all movements may pass what a column can hold.
    const rows = await this.#sql.read(sql<TotalRow>`
      select a.currency, count(*) as transfers, sum(t.amount / 1000000000) as units, sum(t.amount % 1000000000) as nanos
      from transfer t join ledger_account a on a.id = t.debit group by a.currency order by a.currency`)
    return {
      records: Number(records?.count ?? 0n),
      transfers: rows.reduce((sum, row) => sum + Number(row.transfers), 0),
      totals: rows.map(({ currency, units, nanos }) => ({
        currency,
        amount: formatAmount(units * 1_000_000_000n + nanos),
      })),
    }
  }
}
