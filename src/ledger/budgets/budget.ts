// The shapes of budgets: whose spending they bound, in which window, and what happens when it is used up.

/** Each bucket of a calendar window begins at midnight of the budget's zone; weeks begin on Monday. */
export type BudgetWindow = 'day' | 'week' | 'month' | 'lifetime' | { readonly rollingSeconds: number }

/** `hard` refuses calls; `soft` and `shadow` only raise events. */
export type BudgetMode = 'hard' | 'soft' | 'shadow'

export const scopeKinds = ['account', 'user', 'key', 'session', 'server'] as const
export type ScopeKind = (typeof scopeKinds)[number]

/** Whose calls count. `subject` is an id or, for all kinds but accounts, `*`: each one on its own. */
export interface BudgetScope {
  readonly kind: ScopeKind
  readonly subject: string
}

/** A part of the amount at which an event is raised. */
export interface Threshold {
  /** As it is shown: a decimal above 0 and not above 1. */
  readonly text: string
  /** The same in billionths. */
  readonly share: bigint
}

/** More money for a while. */
export interface Increase {
  readonly id: string
  readonly amount: bigint
  readonly untilMs: number
  readonly createdBy: string
  readonly createdAtMs: number
}

/** Stands for a currency where a budget bounds the number of calls: one call is one unit of it. */
export const callUnit = 'CALLS'
export const oneCall = 1_000_000_000n
/** The requests that count as calls, whatever they cost: those that ran, by their records. */
export const countedMethod = 'tools/call'

/**
 * Amounts in nano-units of `currency`; only calls of accounts in that currency count. Of `callUnit`: every call counts as
 * one whose record is not `denied`.
 */
export interface Budget {
  readonly id: string
  readonly name?: string
  readonly scope: BudgetScope
  /** Whose own it is, beside administrators and auditors: that account's user may see it. */
  readonly accountId?: string
  readonly amount: bigint
  readonly currency: string
  readonly window: BudgetWindow
  /** IANA zone of the window's days. */
  readonly timeZone: string
  readonly mode: BudgetMode
  /** In ascending order. */
  readonly thresholds: readonly Threshold[]
  readonly increases: readonly Increase[]
  readonly createdBy: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** Everything of a new budget that its maker says. */
export type BudgetInput = Omit<Budget, 'id' | 'increases' | 'createdAtMs' | 'updatedAtMs'>

export type BudgetChange = Partial<Pick<Budget, 'name' | 'amount' | 'mode' | 'thresholds'>>

/** Who makes a call, as far as budgets tell callers apart. */
export interface Spender {
  readonly accountId: string
  readonly userId: string
  readonly keyId?: string
  readonly sessionId?: string
  readonly serverId: string
  readonly method?: string
}

/** What a call added to a budget: commits with its record. `subject` is empty where the budget has but one. */
export interface BudgetSpend {
  readonly budgetId: string
  readonly subject: string
  readonly bucket: number
  readonly amount: bigint
}

/** What one subject of a budget has used of it. */
export interface BudgetState {
  /** Whose figures these are, where the scope is `*` and somebody has spent. */
  readonly subject?: string
  readonly spent: bigint
  readonly held: bigint
  /** The amount and the increases that are in force. */
  readonly limit: bigint
  readonly remaining: bigint
  readonly windowStartMs?: number
  /** When what was spent no longer counts; of a rolling window, when the oldest part of it leaves. */
  readonly resetsAtMs?: number
}
