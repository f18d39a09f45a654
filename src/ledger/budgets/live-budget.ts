// One budget at work: its counts by subject, its limit now, and the events that its spending raises.
import { derivedId } from '../../base/id.ts'
import { formatAmount } from '../../base/money.ts'
import type { BillingEvent, BillingEventKind } from '../event.ts'
import { callUnit, type Budget, type BudgetState } from './budget.ts'
import { Count, type Cell } from './count.ts'
import { marksOf, type Mark } from './threshold.ts'
import { frameOf, type Frame } from './window.ts'

/** Who spent, as far as an event tells. */
interface Cause {
  readonly accountId: string
  readonly atMs: number
}

export class LiveBudget {
  readonly frame: Frame
  /** Until what was spent before is known, a new budget counts and refuses nobody. */
  inForce = false
  /** A budget that is gone still ends the holds that it has. */
  removed = false
  #budget: Budget
  #marks: readonly Mark[]
  readonly #counts = new Map<string, Count>()

  constructor(budget: Budget) {
    this.#budget = budget
    this.#marks = marksOf(budget)
    this.frame = frameOf(budget.window, budget.timeZone)
  }

  get budget(): Budget {
    return this.#budget
  }

  set budget(budget: Budget) {
    this.#budget = budget
    this.#marks = marksOf(budget)
  }

  /** Counts of more than one subject: each user, key, session or server on its own. */
  get isForEach(): boolean {
    return this.#budget.scope.subject === '*'
  }

  /** Whether anything is said of it before it is used up. */
  get hasMarks(): boolean {
    return this.#marks.length > 0
  }

  get counts(): ReadonlyMap<string, Count> {
    return this.#counts
  }

  /** The count of a subject, made where there is none. */
  countOf(subject: string): Count {
    const known = this.#counts.get(subject)
    if (known) return known
    const count = new Count(subject, this.frame)
    this.#counts.set(subject, count)
    return count
  }

  /** Forgets a subject that comes no more, unless a call still holds something. */
  forget(subject: string): void {
    if (this.#counts.get(subject)?.isIdle) this.#counts.delete(subject)
  }

  /** Forgets subjects whose windows are over. */
  prune(nowMs: number): void {
    for (const [subject, count] of this.#counts) if (count.isOver(nowMs)) this.#counts.delete(subject)
  }

  /** The amount and the increases that are in force. */
  limit(nowMs: number): bigint {
    const { amount, increases } = this.#budget
    let sum = amount
    for (const increase of increases) if (increase.untilMs > nowMs) sum += increase.amount
    return sum
  }

  /** Whether a call that arrived in this cell may take `more`. */
  allows(count: Count, cell: Cell, { more, nowMs }: { more: bigint; nowMs: number }): boolean {
    return count.used(cell) + more <= this.limit(nowMs)
  }

  /** What a subject has used; of a budget for each, who is not named is whoever has used most. */
  state(nowMs: number, subject?: string): BudgetState {
    const limit = this.limit(nowMs)
    const { name, count } = this.#shown(nowMs, subject)
    const { spent, held, oldest } = count?.figures(nowMs) ?? { spent: 0n, held: 0n, oldest: undefined }
    const left = limit - spent - held
    const { sliceMs } = this.frame
    const bucket = this.frame.bucketOf(nowMs)
    const windowStartMs = sliceMs === undefined ? bucket : bucket - 60 * sliceMs
    const leaving = sliceMs === undefined ? bucket : oldest
    const resetsAtMs = leaving === undefined ? undefined : this.frame.endOf(leaving)
    return {
      spent,
      held,
      limit,
      remaining: left > 0n ? left : 0n,
      ...(name !== undefined && { subject: name }),
      ...(this.#budget.window !== 'lifetime' && { windowStartMs }),
      ...(resetsAtMs !== undefined && { resetsAtMs }),
    }
  }

  #shown(nowMs: number, subject?: string): { name?: string; count?: Count | undefined } {
    if (!this.isForEach) return { count: this.#counts.get('') }
    if (subject !== undefined) return { name: subject, count: this.#counts.get(subject) }
    let most: { name: string; count: Count } | undefined
    let used = 0n
    for (const [name, count] of this.#counts) {
      const { spent, held } = count.figures(nowMs)
      if (spent + held <= used) continue
      used = spent + held
      most = { name, count }
    }
    return most ?? {}
  }

  /** Events of thresholds that what is spent has passed and that were not raised in this window yet. */
  passed(count: Count, cell: Cell, cause: Cause): BillingEvent[] {
    const spent = count.spent(cell)
    const events: BillingEvent[] = []
    for (const { text, amount } of this.#marks) {
      if (spent < amount) break
      const event = this.#event('budget.threshold', { count, cell, cause, threshold: text })
      if (event) events.push(event)
    }
    return events
  }

  /** The event that a call was refused, or would have been: the first time in each window. */
  exhausted(count: Count, cell: Cell, cause: Cause): BillingEvent | undefined {
    return this.#event('budget.exhausted', { count, cell, cause })
  }

  #event(
    kind: BillingEventKind,
    given: { count: Count; cell: Cell; cause: Cause; threshold?: string },
  ): BillingEvent | undefined {
    const { count, cell, cause, threshold } = given
    const label = this.frame.labelOf(cell.bucket)
    const name = threshold ?? kind
    if (!count.raise(label, name)) return undefined
    const { id, scope, accountId, mode, amount, currency } = this.#budget
    const endMs = this.frame.endOf(cell.bucket)
    const owner = accountId ?? (scope.kind === 'server' ? undefined : cause.accountId)
    return {
      id: derivedId('evt', label, [id, count.subject, label, name].join('\n')),
      kind,
      ...(owner !== undefined && { accountId: owner }),
      body: {
        budget: id,
        ...(this.#budget.name !== undefined && { name: this.#budget.name }),
        scope: { [scope.kind]: scope.subject },
        ...(count.subject !== '' && { subject: count.subject }),
        mode,
        ...(threshold !== undefined && { threshold }),
        amount: formatAmount(amount),
        spent: formatAmount(count.spent(cell)),
        ...(currency === callUnit ? { unit: 'calls' } : { currency }),
        ...(this.frame.sliceMs === undefined && endMs !== undefined && { windowStart: iso(cell.bucket) }),
        ...(endMs !== undefined && { resetsAt: iso(endMs) }),
      },
      atMs: cause.atMs,
    }
  }
}

const iso = (ms: number): string => new Date(ms).toISOString()
