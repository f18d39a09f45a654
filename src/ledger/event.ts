// Billing events: what happened to money that somebody may want to hear of, written once.

export type BillingEventKind = 'budget.threshold' | 'budget.exhausted'

/** Its id follows from what it says, so that the same event is one row however often it is written. */
export interface BillingEvent {
  readonly id: string
  readonly kind: BillingEventKind
  /** Whose event it is; absent where it is nobody's but the administrators'. */
  readonly accountId?: string
  /** JSON: amounts are decimal strings, times ISO 8601. */
  readonly body: Readonly<Record<string, unknown>>
  readonly atMs: number
}
