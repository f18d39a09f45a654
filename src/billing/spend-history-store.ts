// What calls have cost before a budget was made: from the rollups or the records, less what is counted for it already.
import { sql, type RawBuilder } from 'kysely'
import { CallIds } from '../base/id.ts'
import type { Database } from '../db/database.ts'
import { PlainSql } from '../db/plain-sql.ts'
import {
  callUnit,
  countedMethod,
  oneCall,
  type Budget,
  type BudgetSpend,
  type ScopeKind,
} from '../ledger/budgets/budget.ts'
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
    const frame = frameOf(budget.window, budget.timeZone)
    const endMs = typeof budget.window === 'object' ? undefined : frame.endOf(frame.bucketOf(fromMs))
    const spent = spentBy(budget, { fromMs, ...(endMs !== undefined && { endMs }) })
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

/** Milliseconds; no end where it is the last. */
export interface Span {
  readonly fromMs: number
  readonly endMs?: number
}

/** Whether only records tell what counts for a budget. */
export const perRecord = ({ scope, window }: Budget): boolean =>
  scope.kind === 'session' || typeof window === 'object'

/** A query of what calls cost in a span, by subject of the budget's kind and by bucket: side 1, text, bucket, amount. */
export const spentBy = (budget: Budget, span: Span): RawBuilder<Row> =>
  perRecord(budget) ? recordsOf(budget, span) : rollupsOf(budget, span)

/** In money, what calls cost; in calls, how many ran. */
const sumOf = (currency: string, calls: RawBuilder<unknown>) =>
  currency === callUnit ? sql`cast(sum(${calls}) as bigint) * ${sql.lit(Number(oneCall))}` : sql`sum(r.cost)`

const factsOf = (currency: string) =>
  currency === callUnit
    ? sql`join dimension m on m.id = r.method join dimension o on o.id = r.outcome`
    : sql`join dimension c on c.id = r.currency`

const countsFor = (currency: string) =>
  currency === callUnit
    ? sql`m.value = ${countedMethod} and o.value <> 'denied'`
    : sql`c.value = ${currency} and r.cost <> 0`

/** Sums by subject out of the rollups of a window that is one bucket. */
function rollupsOf({ scope, currency, window, timeZone }: Budget, { fromMs, endMs }: Span): RawBuilder<Row> {
  const bucket = frameOf(window, timeZone).bucketOf(fromMs)
  return sql<Row>`
    select 1 as side, d.value as text, ${sql.lit(bucket)} as bucket, ${sumOf(currency, sql`r.calls`)} as amount
    from usage_rollup r join dimension d on d.id = r.${sql.raw(columns[scope.kind])}
      ${factsOf(currency)}
    where r.bucket >= ${BigInt(Math.floor(fromMs / rollupMs))}
      and r.bucket < ${BigInt(Math.floor((endMs ?? Number.MAX_SAFE_INTEGER) / rollupMs))} and ${countsFor(currency)}
    group by d.value`
}

/** The same out of the records, by slice of a rolling window. */
function recordsOf({ scope, currency, window, timeZone }: Budget, { fromMs, endMs }: Span): RawBuilder<Row> {
  const frame = frameOf(window, timeZone)
  const atMs = sql`((r.id >> 22) + ${sql.lit(CallIds.epochMs)})`
  const bucket =
    frame.sliceMs === undefined
      ? sql.lit(frame.bucketOf(fromMs))
      : sql`(${atMs} / ${sql.lit(frame.sliceMs)}) * ${sql.lit(frame.sliceMs)}`
  return sql<Row>`
    select 1 as side, d.value as text, ${bucket} as bucket, ${sumOf(currency, sql`1`)} as amount
    from usage_record r join dimension d on d.id = r.${sql.raw(columns[scope.kind])}
      ${factsOf(currency)}
    where r.id >= ${CallIds.firstAt(fromMs)}
      and r.id < ${endMs === undefined ? 2n ** 63n - 1n : CallIds.firstAt(endMs)} and ${countsFor(currency)}
    group by 2, 3`
}
