// What calls have cost before a budget was made: from the rollups or the records, less what is counted for it already.
import { sql, type RawBuilder } from 'kysely'
import { CallIds } from '../base/id.ts'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'
import type { Budget, BudgetSpend, ScopeKind } from '../ledger/budgets/budget.ts'
import { frameOf } from '../ledger/budgets/window.ts'
import { partSeparator } from '../usage/batch.ts'
import { rollupMs } from '../usage/record.ts'

/** Columns of records and rollups that hold the subject of a scope. */
const columns: Readonly<Record<ScopeKind, string>> = {
  account: 'account',
  user: 'caller',
  key: 'api_key',
  session: 'session',
  server: 'server',
}

interface Row {
  /** 1: by the records. -1: counted for the budget already. */
  readonly side: bigint
  readonly text: string
  readonly bucket: bigint
  readonly amount: bigint
}

export class SpendHistoryStore {
  readonly #sql: PlainSql

  constructor(db: Database) {
    this.#sql = new PlainSql(db)
  }

  /**
   * What counts for a budget since `fromMs` by all durable records, less its rows in `budget_spend`: these commit with
   * their records, so one statement sees each call in both or in neither. `accountIds` are the account of the budget
   * and its descendants. A calendar window begins with a quarter of an hour, so that rollups are exact.
   */
  async read(budget: Budget, fromMs: number, accountIds: readonly string[]): Promise<BudgetSpend[]> {
    const { kind, subject: whose } = budget.scope
    const perRecord = kind === 'session' || typeof budget.window === 'object'
    const spent = perRecord ? recordsOf(budget, fromMs) : rollupsOf(budget, fromMs)
    const rows = await this.#sql.read(sql<Row>`${spent}
      union all select -1 as side, subject as text, bucket, amount from budget_spend where budget = ${budget.id}`)
    const own = new Set(kind === 'account' ? accountIds : [whose])
    const sums = new Map<string, BudgetSpend>()
    for (const { side, text, bucket, amount } of rows) {
      // The text of a server has its name behind its id.
      const [id = ''] = text.split(partSeparator)
      if (side === 1n && whose !== '*' && !own.has(id)) continue
      const subject = whose === '*' ? id : ''
      const key = `${bucket} ${subject}`
      const before = sums.get(key)?.amount ?? 0n
      sums.set(key, { budgetId: budget.id, subject, bucket: Number(bucket), amount: before + side * amount })
    }
    return [...sums.values()]
  }
}

/** Sums by subject out of the rollups of a window that is one bucket. */
function rollupsOf({ scope, currency, window, timeZone }: Budget, fromMs: number): RawBuilder<Row> {
  const bucket = frameOf(window, timeZone).bucketOf(fromMs)
  return sql<Row>`
    select 1 as side, d.value as text, ${sql.lit(bucket)} as bucket, sum(r.cost) as amount
    from usage_rollup r join dimension d on d.id = r.${sql.raw(columns[scope.kind])}
      join dimension c on c.id = r.currency
    where r.bucket >= ${BigInt(Math.floor(fromMs / rollupMs))} and c.value = ${currency} and r.cost <> 0
    group by d.value`
}

/** The same out of the records, by slice of a rolling window. */
function recordsOf({ scope, currency, window, timeZone }: Budget, fromMs: number): RawBuilder<Row> {
  const frame = frameOf(window, timeZone)
  const atMs = sql`((r.id >> 22) + ${sql.lit(CallIds.epochMs)})`
  const bucket =
    frame.sliceMs === undefined
      ? sql.lit(frame.bucketOf(fromMs))
      : sql`(${atMs} / ${sql.lit(frame.sliceMs)}) * ${sql.lit(frame.sliceMs)}`
  return sql<Row>`
    select 1 as side, d.value as text, ${bucket} as bucket, sum(r.cost) as amount
    from usage_record r join dimension d on d.id = r.${sql.raw(columns[scope.kind])}
      join dimension c on c.id = r.currency
    where r.id >= ${CallIds.firstAt(fromMs)} and c.value = ${currency} and r.cost <> 0
    group by 2, 3`
}
