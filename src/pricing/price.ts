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

export const units = ['call', 'kb', 'second', 'token'] as const
/** What steps and packages count; a KB is 1024 bytes of request + response. */
export type Unit = (typeof units)[number]

export const pricePeriods = ['month', 'day'] as const
/** A calendar period in the account's time zone, at whose start quantities begin anew. */
export type PricePeriod = (typeof pricePeriods)[number]

export const counterSubjects = ['account', 'key', 'session'] as const
/** Whose calls are counted together; a call without a key or session counts with its account. */
export type CounterSubject = (typeof counterSubjects)[number]

/** A quantity belongs to the first step whose `upTo` is not below it; the last step has none. */
export interface TierStep {
  readonly upTo: string | null
  readonly unitPrice: string
  readonly flatPrice?: string
}

/**
 * Graduated: each part of the quantity at the price of its own step, and a step's flat price once the quantity enters
 * it. Volume: the whole quantity at the price of the step that it reaches, with that step's flat price.
 */
export interface Tiers {
  readonly mode: 'graduated' | 'volume'
  readonly unit: Unit
  readonly period: PricePeriod
  readonly per: CounterSubject
  readonly steps: readonly TierStep[]
}

/** Each started package of `size` units costs `price`; the first `free` units of the period are not counted. */
export interface Package {
  readonly unit: Unit
  readonly size: string
  readonly price: string
  readonly free?: string
  readonly period: PricePeriod
  readonly per: CounterSubject
}

/**
 * A share of what the server says that the call cost it: `rate` is a fraction ("0.2" is 20 %). The first `free` of the
 * period's upstream cost is not counted. `fixed` is added for each call that cost the server something.
 */
export interface Percentage {
  readonly rate: string
  readonly of: 'upstreamCost'
  readonly fixed?: string
  readonly free?: string
  readonly period: PricePeriod
  readonly per: CounterSubject
}

/** A price: decimal strings with at most 12 decimals. At most one of `tiers`, `package` and `percentage`. */
export interface Price {
  readonly perCall?: string
  readonly perKb?: string
  readonly perSecond?: string
  readonly perToken?: string
  /** Once for each account and period in which a call was charged; the period of `tiers`…, else a month. */
  readonly flat?: string
  /** Clamps of one call's cost. */
  readonly minimum?: string
  readonly maximum?: string
  readonly tiers?: Tiers
  readonly package?: Package
  readonly percentage?: Percentage
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
  /** The price book that it stands in; a rule without one is for everybody. */
  readonly book?: string
  readonly match: Match
  readonly price: Price
  readonly billOn: readonly Outcome[]
  /** In force for calls that arrive at or after this time, until a later version takes over. */
  readonly effectiveFromMs: number
  readonly effectiveToMs?: number
  readonly createdAtMs: number
  /** The user who published it. */
  readonly createdBy?: string
}

/** The price books of a caller's account; rules of the first stand before those of the second, and these before the rest. */
export interface CallBooks {
  /** The account's own. */
  readonly priceBook?: string
  /** Its plan's. */
  readonly plan?: string
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
  /** Undefined where the account has none. */
  readonly books: CallBooks | undefined
  readonly atMs: number
}

/** Measured quantities of one call: integers in base units. */
export interface Quantities {
  readonly calls: number
  /** Request + response body bytes. */
  readonly bytes: number
  readonly durationUs: number
  /** As the server reports them; absent where it reports none. */
  readonly tokens?: number
  /** What the call cost the server, as it says, in nano-units of the account's currency. */
  readonly upstreamCost?: bigint
}
