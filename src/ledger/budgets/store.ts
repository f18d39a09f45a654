// The tables of budgets: what they say, their increases, and what has been spent of each.
import type { HotRow, HotTable } from '../../db/batch.ts'
import type { Compilable, Database } from '../../db/database.ts'
import {
  type Budget,
  type BudgetMode,
  type BudgetSpend,
  type BudgetWindow,
  type Increase,
  type ScopeKind,
} from './budget.ts'
import { readThreshold } from './threshold.ts'

interface Tables {
  budget: {
    id: string
    name: string | null
    scope: ScopeKind
    subject: string
    account_id: string | null
    amount: bigint
    currency: string
    span: string
    rolling_s: bigint | null
    time_zone: string
    mode: BudgetMode
    thresholds: string
    created_by: string
    created_at: bigint
    updated_at: bigint
  }
  budget_increase: {
    id: string
    budget: string
    amount: bigint
    until: bigint
    created_by: string
    created_at: bigint
  }
  budget_spend: { bucket: bigint; budget: string; subject: string; amount: bigint }
}

const spendTable: HotTable = {
  name: 'budget_spend',
  mode: 'add',
  keys: ['bucket', 'budget', 'subject'],
  columns: { bucket: 'integer', budget: 'text', subject: 'text', amount: 'integer' },
}

interface CellSum {
  readonly bucket: number
  amount: bigint
}

/** By budget and subject; a batch touches few buckets of one subject. */
function sumsOf(spends: readonly BudgetSpend[]): Map<string, Map<string, CellSum[]>> {
  const sums = new Map<string, Map<string, CellSum[]>>()
  for (const { budgetId, subject, bucket, amount } of spends) {
    let bySubject = sums.get(budgetId)
    if (!bySubject) sums.set(budgetId, (bySubject = new Map()))
    const cells = bySubject.get(subject)
    const known = cells?.find((cell) => cell.bucket === bucket)
    if (known) known.amount += amount
    else if (cells) cells.push({ bucket, amount })
    else bySubject.set(subject, [{ bucket, amount }])
  }
  return sums
}

/** What calls spent as rows of a hot batch, one for each bucket that they touch. */
export function spendRows(spends: readonly BudgetSpend[]): HotRow[] {
  const rows: HotRow[] = []
  for (const [budgetId, bySubject] of sumsOf(spends))
    for (const [subject, cells] of bySubject)
      for (const { bucket, amount } of cells)
        rows.push({ table: spendTable, values: [bucket, budgetId, subject, amount] })
  return rows
}

export class BudgetStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  async listBudgets(): Promise<Budget[]> {
    const [rows, increases] = await Promise.all([
      this.#db.read(this.#sql.selectFrom('budget').selectAll().orderBy('id')),
      this.#db.read(this.#sql.selectFrom('budget_increase').selectAll().orderBy('id')),
    ])
    const increasesOf = Map.groupBy(increases, ({ budget }) => budget)
    return rows.map((row) => toBudget(row, increasesOf.get(row.id) ?? []))
  }

  /** What was spent in buckets from a time on, and in lifetimes. */
  async listSpends(fromMs: number): Promise<BudgetSpend[]> {
    const query = this.#sql
      .selectFrom('budget_spend')
      .selectAll()
      .where((e) => e.or([e('bucket', '=', 0n), e('bucket', '>=', BigInt(fromMs))]))
    return (await this.#db.read(query)).map(({ bucket, budget, subject, amount }) => ({
      budgetId: budget,
      subject,
      bucket: Number(bucket),
      amount,
    }))
  }

  /** Writes a budget together with what was spent before it was made. */
  async insert(budget: Budget, before: readonly BudgetSpend[]): Promise<void> {
    const { window } = budget
    const rolling = typeof window === 'object' ? window.rollingSeconds : undefined
    await this.#db.write(
      this.#sql.insertInto('budget').values({
        id: budget.id,
        name: budget.name ?? null,
        scope: budget.scope.kind,
        subject: budget.scope.subject,
        account_id: budget.accountId ?? null,
        amount: budget.amount,
        currency: budget.currency,
        span: typeof window === 'object' ? 'rolling' : window,
        rolling_s: rolling === undefined ? null : BigInt(rolling),
        time_zone: budget.timeZone,
        mode: budget.mode,
        thresholds: thresholdTexts(budget),
        created_by: budget.createdBy,
        created_at: BigInt(budget.createdAtMs),
        updated_at: BigInt(budget.updatedAtMs),
      }),
      ...before.map((spend) => this.#addSpend(spend)),
    )
  }

  #addSpend({ bucket, budgetId, subject, amount }: BudgetSpend): Compilable {
    return this.#sql
      .insertInto('budget_spend')
      .values({ bucket: BigInt(bucket), budget: budgetId, subject, amount })
      .onConflict((c) =>
        c
          .columns(['bucket', 'budget', 'subject'])
          .doUpdateSet((e) => ({ amount: e('budget_spend.amount', '+', amount) })),
      )
  }

  /** Writes what may change of a budget. */
  async update(budget: Budget): Promise<void> {
    await this.#db.write(
      this.#sql
        .updateTable('budget')
        .set({
          name: budget.name ?? null,
          amount: budget.amount,
          mode: budget.mode,
          thresholds: thresholdTexts(budget),
          updated_at: BigInt(budget.updatedAtMs),
        })
        .where('id', '=', budget.id),
    )
  }

  async addIncrease(budgetId: string, increase: Increase): Promise<void> {
    await this.#db.write(
      this.#sql.insertInto('budget_increase').values({
        id: increase.id,
        budget: budgetId,
        amount: increase.amount,
        until: BigInt(increase.untilMs),
        created_by: increase.createdBy,
        created_at: BigInt(increase.createdAtMs),
      }),
    )
  }

  async delete(id: string): Promise<void> {
    await this.#db.write(
      this.#sql.deleteFrom('budget').where('id', '=', id),
      this.#sql.deleteFrom('budget_increase').where('budget', '=', id),
      this.#sql.deleteFrom('budget_spend').where('budget', '=', id),
    )
  }

  /** Removes what these subjects, which come no more, have spent of budgets that count each on its own. */
  async forgetSubjects(subjects: readonly string[]): Promise<void> {
    if (subjects.length > 0)
      await this.#db.write(this.#sql.deleteFrom('budget_spend').where('subject', 'in', subjects))
  }

  /** Removes slices of rolling windows that begin before a time, and what belongs to no budget. */
  async sweep(beforeMs: number): Promise<void> {
    const rolling = this.#sql.selectFrom('budget').select('id').where('span', '=', 'rolling')
    const all = this.#sql.selectFrom('budget').select('id')
    await this.#db.write(
      this.#sql
        .deleteFrom('budget_spend')
        .where('bucket', '>', 0n)
        .where('bucket', '<', BigInt(beforeMs))
        .where('budget', 'in', rolling),
      this.#sql.deleteFrom('budget_spend').where('budget', 'not in', all),
    )
  }
}

const thresholdTexts = ({ thresholds }: Budget): string => JSON.stringify(thresholds.map(({ text }) => text))

function toBudget(row: Tables['budget'], increases: readonly Tables['budget_increase'][]): Budget {
  return {
    id: row.id,
    ...(row.name !== null && { name: row.name }),
    scope: { kind: row.scope, subject: row.subject },
    ...(row.account_id !== null && { accountId: row.account_id }),
    amount: row.amount,
    currency: row.currency,
    window:
      row.rolling_s === null
        ? (row.span as Exclude<BudgetWindow, object>)
        : { rollingSeconds: Number(row.rolling_s) },
    timeZone: row.time_zone,
    mode: row.mode,
    thresholds: (JSON.parse(row.thresholds) as string[]).flatMap((text) => readThreshold(text) ?? []),
    increases: increases.map((each) => ({
      id: each.id,
      amount: each.amount,
      untilMs: Number(each.until),
      createdBy: each.created_by,
      createdAtMs: Number(each.created_at),
    })),
    createdBy: row.created_by,
    createdAtMs: Number(row.created_at),
    updatedAtMs: Number(row.updated_at),
  }
}
