// What the budgets of a node are built from.
import type { Clock } from '../../base/clock.ts'
import type { BillingEvent } from '../event.ts'
import type { EventStore } from '../event-store.ts'
import type { Budget, BudgetSpend } from './budget.ts'
import type { ParentOf } from './budget-index.ts'
import type { BudgetStore } from './store.ts'

/** What was spent before a budget was made, by the records, less what is counted for it already. */
type ReadHistory = (budget: Budget, fromMs: number) => Promise<BudgetSpend[]>

export interface BudgetsOptions {
  readonly store: BudgetStore
  readonly events: EventStore
  readonly clock: Clock
  readonly parentOf: ParentOf
  readonly currencyOf: (accountId: string) => string | undefined
  readonly history: ReadHistory
  /** Resolves once every call that has settled so far is durable, or known to have failed. */
  readonly settledSoFar: () => Promise<void>
  /** Hears of each event when it is raised; it becomes durable with the next record. */
  readonly onEvent?: (event: BillingEvent) => void
  readonly maxBudgets?: number
}
