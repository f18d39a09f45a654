// What a call holds of its budgets, and what is said of the one that refuses it.
import type { Budget, BudgetState, Spender } from './budget.ts'
import type { Cell, Count } from './count.ts'
import type { LiveBudget } from './live-budget.ts'

/** A call's part in one budget. */
export interface Share {
  readonly live: LiveBudget
  readonly count: Count
  readonly cell: Cell
}

/** What a call holds of every budget that it counts against. Resolved exactly once. */
export interface Stake {
  /** A budget's currency has to be this one; absent: that of the account that pays. */
  readonly unit?: string | undefined
  readonly spender: Spender
  /** Its id has the time in it at which the call arrived: that decides in which windows it counts. */
  readonly record: bigint
  amount: bigint
  shares: readonly Share[]
}

/** The budget that refuses a call. */
export interface Refusal {
  readonly budget: Budget
  readonly state: BudgetState
  readonly nowMs: number
  /** When enough of it will be free, should nothing else be spent; absent where that never comes. */
  readonly freesAtMs?: number
}
