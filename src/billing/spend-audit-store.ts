// What an audit reads of budgets and of what was counted for prices. Each method is one statement, so it sees one state of the store.
import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'
import type { Account } from '../ledger/account.ts'
import type { Budget } from '../ledger/budgets/budget.ts'
import { BudgetStore } from '../ledger/budgets/store.ts'
import { LedgerStore } from '../ledger/store.ts'
import { partSeparator } from '../usage/batch.ts'
import { spentBy, type Span } from './spend-history-store.ts'

export interface AuditedSpend {
  readonly subject: string
  readonly bucket: bigint
  readonly amount: bigint
}

export interface CountedSpend extends AuditedSpend {
  readonly budgetId: string
}

export class SpendAuditStore {
  readonly #sql: PlainSql
  readonly #budgets: BudgetStore
  readonly #ledger: LedgerStore

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
    this.#budgets = new BudgetStore(db)
    this.#ledger = new LedgerStore(db)
  }

  budgets(): Promise<Budget[]> {
    return this.#budgets.listBudgets()
  }

  accounts(): Promise<Account[]> {
    return this.#ledger.listAccounts()
  }

  /** What calls cost by subject of budgets like this one, beside what was counted for any budget in these buckets. */
  async spends(alike: Budget, span: Span): Promise<{ spent: AuditedSpend[]; counted: CountedSpend[] }> {
    const rows = await this.#sql.read(sql<{ side: bigint; text: string; bucket: bigint; amount: bigint }>`
      ${spentBy(alike, span)}
      union all select -1 as side, budget || ' ' || subject as text, bucket, amount from budget_spend
      where bucket >= ${sql.lit(span.fromMs)} and bucket < ${sql.lit(span.endMs ?? Number.MAX_SAFE_INTEGER)}`)
    const spent: AuditedSpend[] = []
    const counted: CountedSpend[] = []
    for (const { side, text, bucket, amount } of rows) {
      const [first = '', second = ''] = text.split(side === 1n ? partSeparator : ' ')
      if (side === 1n) spent.push({ subject: first, bucket, amount })
      else counted.push({ budgetId: first, subject: second, bucket, amount })
    }
    return { spent, counted }
  }

  /** What was counted of each rule's unit by account or key, over all periods. */
  async meters(): Promise<Map<string, bigint>> {
    const rows = await this.#sql.read(sql<{
      rule_id: string
      unit: string
      subject: string
      quantity: bigint
    }>`
      select rule_id, unit, subject, sum(quantity) as quantity from usage_meter
      where subject not like 'ses%' group by rule_id, unit, subject`)
    return new Map(
      rows.map(({ rule_id: rule, unit, subject, quantity }) => [`${rule} ${unit} ${subject}`, quantity]),
    )
  }
}
