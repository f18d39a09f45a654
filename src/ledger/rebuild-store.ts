// Making the running totals of ledger accounts anew out of their transfers.
import { sql, type RawBuilder } from 'kysely'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'

interface Balance {
  readonly id: bigint
  readonly debits: bigint
  readonly credits: bigint
}

/** Balances that one transaction puts right. */
const balancesAtOnce = 500

export class BalanceRebuildStore {
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
  }

  /** Puts right what is not the sum of its transfers; returns how many balances that were. Nothing else may write. */
  async rebuild(): Promise<number> {
    const wrong = await this.#sql.read(this.#wrong())
    for (let at = 0; at < wrong.length; at += balancesAtOnce) {
      const part = wrong.slice(at, at + balancesAtOnce)
      await this.#sql.write(...part.map((balance) => this.#replace(balance)))
    }
    return wrong.length
  }

  #wrong(): RawBuilder<Balance> {
    return sql<Balance>`
      select l.id, coalesce(d.total, 0) as debits, coalesce(c.total, 0) as credits
      from ledger_account l left join ledger_balance b on b.ledger_account = l.id
        left join (select debit, sum(amount) as total from transfer group by debit) d on d.debit = l.id
        left join (select credit, sum(amount) as total from transfer group by credit) c on c.credit = l.id
      where coalesce(b.debits, 0) <> coalesce(d.total, 0) or coalesce(b.credits, 0) <> coalesce(c.total, 0)`
  }

  #replace({ id, debits, credits }: Balance): RawBuilder<unknown> {
    return sql`insert into ledger_balance (ledger_account, debits, credits) values (${id}, ${debits}, ${credits})
      on conflict (ledger_account) do update set debits = excluded.debits, credits = excluded.credits`
  }
}
