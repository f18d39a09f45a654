// Checks what was counted for budgets and for prices that go by a period's quantities against the records.
import { CallIds } from '../base/id.ts'
import { formatAmount } from '../base/money.ts'
import type { Budget } from '../ledger/budgets/budget.ts'
import { frameOf } from '../ledger/budgets/window.ts'
import type { CompiledRule } from '../pricing/choice.ts'
import { dayMs } from '../usage/retention-store.ts'
import type { Differences } from './differences.ts'
import type { SpendAuditStore } from './spend-audit-store.ts'
import { perRecord, type Span } from './spend-history-store.ts'
import type { AuditedRecord } from './store.ts'

interface BudgetCheck {
  readonly store: SpendAuditStore
  readonly differences: Differences
  /** The newest record; windows are those in which it came, or later ones. */
  readonly newest: bigint
  readonly droppedDays: ReadonlySet<number>
  readonly signal?: AbortSignal | undefined
}

/**
 * Compares what counts for budgets now with the records; returns how many budgets were compared. Left out are budgets of
 * a window whose records are partly dropped, and those on accounts where some account was changed within the window: a
 * call counts for the ancestors that its account had when it came, which is written nowhere else.
 */
export async function checkBudgets(check: BudgetCheck): Promise<number> {
  const { store, newest, signal } = check
  const [budgets, accounts] = await Promise.all([store.budgets(), store.accounts()])
  const movedMs = Math.max(
    0,
    ...accounts
      .filter(({ createdAtMs, updatedAtMs }) => updatedAtMs > createdAtMs)
      .map(({ updatedAtMs }) => updatedAtMs),
  )
  const parents = new Map(accounts.map(({ id, parentId }) => [id, parentId]))
  let compared = 0
  for (const alike of Map.groupBy(budgets, groupOf).values()) {
    signal?.throwIfAborted()
    const [sample] = alike
    if (!sample) continue
    // A budget counts from the window on in which it was made.
    const nowMs = Math.max(CallIds.timeMs(newest), ...alike.map(({ createdAtMs }) => createdAtMs))
    const span = spanOf(sample, nowMs)
    if (sample.scope.kind === 'account' && movedMs >= span.fromMs) continue
    if (perRecord(sample) && [...check.droppedDays].some((day) => (day + 1) * dayMs > span.fromMs)) continue
    compared += alike.length
    await compareAlike(check, alike, { span, parents })
  }
  return compared
}

/** Budgets of one kind of scope, currency and window are compared together. */
const groupOf = ({ scope, currency, window, timeZone }: Budget): string =>
  JSON.stringify([scope.kind, currency, window, timeZone])

/** The buckets that count now; of a rolling window up to the end of time, since none of them stands alone. */
function spanOf({ window, timeZone }: Budget, nowMs: number): Span {
  const frame = frameOf(window, timeZone)
  const bucket = frame.bucketOf(nowMs)
  if (typeof window === 'object') return { fromMs: bucket - 60 * (frame.sliceMs ?? 0) }
  const endMs = frame.endOf(bucket)
  return { fromMs: bucket, ...(endMs !== undefined && { endMs }) }
}

async function compareAlike(
  { store, differences }: BudgetCheck,
  budgets: readonly Budget[],
  { span, parents }: { span: Span; parents: ReadonlyMap<string, string | undefined> },
): Promise<void> {
  const [sample] = budgets
  if (!sample) return
  const byId = new Map(budgets.map((budget) => [budget.id, budget]))
  const bySubject = Map.groupBy(budgets, ({ scope }) => scope.subject)
  const apart = new Map<string, { budget: Budget; subject: string; amount: bigint }>()
  const add = (budget: Budget, { subject, bucket, amount }: Spent): void => {
    const key = `${budget.id} ${subject} ${bucket}`
    apart.set(key, { budget, subject, amount: (apart.get(key)?.amount ?? 0n) + amount })
  }
  const { spent, counted } = await store.spends(sample, span)
  for (const { subject, ...rest } of spent) {
    for (const budget of bySubject.get('*') ?? []) add(budget, { subject, ...rest })
    for (const whose of sample.scope.kind === 'account' ? chainOf(subject, parents) : [subject])
      for (const budget of bySubject.get(whose) ?? []) add(budget, { subject: '', ...rest })
  }
  for (const { budgetId, ...rest } of counted) {
    const budget = byId.get(budgetId)
    if (budget) add(budget, { ...rest, amount: -rest.amount })
  }
  for (const { budget, subject, amount } of apart.values())
    if (amount !== 0n)
      differences.add('budget', subject === '' ? budget.id : `${budget.id} ${subject}`, {
        expected: 'what its calls cost',
        actual: amount > 0n ? `${formatAmount(amount)} less` : `${formatAmount(-amount)} more`,
      })
}

interface Spent {
  readonly subject: string
  readonly bucket: bigint
  readonly amount: bigint
}

/** An account and its ancestors. */
function chainOf(accountId: string, parents: ReadonlyMap<string, string | undefined>): string[] {
  const chain: string[] = []
  for (let at: string | undefined = accountId; at !== undefined; at = parents.get(at)) chain.push(at)
  return chain
}

/**
 * What records say was counted of each rule by account or key, over all periods. Sessions are left out: there is no end
 * to them. Counts are read before the records and again behind them; what was there before must be among the records,
 * and what the records hold must have been counted in the end, so calls that settle meanwhile disturb nothing.
 */
export class MeterCheck {
  readonly #before: ReadonlyMap<string, bigint>
  readonly #recorded = new Map<string, bigint>()

  private constructor(before: ReadonlyMap<string, bigint>) {
    this.#before = before
  }

  static async begin(store: SpendAuditStore): Promise<MeterCheck> {
    return new MeterCheck(await store.meters())
  }

  add(record: AuditedRecord, { rates, rule }: CompiledRule): void {
    const { cumulative } = rates
    if (!cumulative || cumulative.per === 'session' || record.counted_before === null) return
    const subject = (cumulative.per === 'key' ? record.key_id : undefined) ?? record.account_id
    const key = `${rule.ruleId} ${cumulative.unit} ${subject}`
    const count = cumulative.countOf({
      calls: 1,
      bytes: Number(record.request_bytes) + Number(record.response_bytes),
      durationUs: Number(record.duration_us),
      tokens: Number(record.tokens ?? 0n),
      upstreamCost: record.upstream_cost ?? 0n,
    })
    this.#recorded.set(key, (this.#recorded.get(key) ?? 0n) + count)
  }

  /** `isWhole`: no records were dropped. Returns how many counts were compared. */
  async end(store: SpendAuditStore, differences: Differences, isWhole: boolean): Promise<number> {
    const after = await store.meters()
    const keys = new Set([...this.#recorded.keys(), ...(isWhole ? this.#before.keys() : [])])
    for (const key of keys) {
      const recorded = this.#recorded.get(key) ?? 0n
      const [least, most] = [this.#before.get(key) ?? 0n, after.get(key) ?? 0n]
      if (recorded > most) differences.add('meter', key, { expected: `${recorded}`, actual: `${most}` })
      else if (isWhole && recorded < least)
        differences.add('meter', key, { expected: `${recorded}`, actual: `${least}` })
    }
    return keys.size
  }
}
