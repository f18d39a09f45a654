// The shapes of rules and prices. Decimal strings as the contract has them; rating reads them once, into bigint.

export const outcomes = [
  'success',
  'tool_error',
  'error',
  'timeout',
  'cancelled',
  'denied',
  'unknown',
] as const
export type Outcome = (typeof outcomes)[number]

/** A price: decimal strings with at most 12 decimals. A KB is 1024 bytes of request + response. */
export interface Price {
  readonly perCall?: string
  readonly perKb?: string
  readonly perSecond?: string
  /** Clamps of one call's cost. */
  readonly minimum?: string
  readonly maximum?: string
}

/** Globs over a call; an absent member matches anything. `*` matches within a segment, `**` across segments. */
export interface Match {
  readonly server?: string
  readonly tool?: string
  readonly method?: string
  readonly user?: string
  readonly account?: string
  readonly transport?: string
}

/** One immutable version of a rule. A change makes the next version; the old one keeps its records' price. */
export interface RuleVersion {
  readonly ruleId: string
  readonly version: number
  readonly name: string
  readonly priority: number
  readonly active: boolean
  readonly currency: string
  readonly match: Match
  readonly price: Price
  readonly billOn: readonly Outcome[]
  /** In force for calls that arrive at or after this time, until a later version takes over. */
  readonly effectiveFromMs: number
  readonly effectiveToMs?: number
  readonly createdAtMs: number
}

/** What a rule is chosen for. */
export interface CallFacts {
  readonly server: string
  readonly method: string
  readonly tool?: string
  readonly user: string
  readonly account: string
  readonly transport: string
  readonly currency: string
  readonly atMs: number
}

/** Measured quantities of one call: integers in base units. */
export interface Quantities {
  readonly calls: number
  /** Request + response body bytes. */
  readonly bytes: number
  readonly durationUs: number
}
