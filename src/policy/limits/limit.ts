// A limit: how many calls of which kind may come in a time, or run at once, and how many bytes they may bring.

/** What calls are counted apart by. A caller without a key counts as its user. */
export const limitDimensions = ['user', 'key', 'account', 'server', 'tool'] as const
export type LimitDimension = (typeof limitDimensions)[number]

/** Which calls a limit is for; all that is named must agree. */
export interface LimitMatch {
  /** Globs. */
  readonly server?: string | undefined
  readonly tool?: string | undefined
  readonly method?: string | undefined
  /** Ids. */
  readonly user?: string | undefined
  readonly key?: string | undefined
  readonly account?: string | undefined
}

/** `calls` in `seconds` over time, and at most `burst` of them at once; without it, all of `calls`. */
export interface Rate {
  readonly calls: number
  readonly seconds: number
  readonly burst?: number | undefined
}

/** `bytes` in `seconds` over time, and at most `burst` of them at once; without it, all of `bytes`. */
export interface Bandwidth {
  readonly bytes: number
  readonly seconds: number
  readonly burst?: number | undefined
}

export interface Limit {
  readonly id: string
  readonly name: string
  readonly match: LimitMatch
  readonly per: readonly LimitDimension[]
  readonly rate?: Rate | undefined
  /** Of requests and their answers together. */
  readonly bandwidth?: Bandwidth | undefined
  /** Calls that may run at once. */
  readonly concurrent?: number | undefined
  readonly active: boolean
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A call as limits see it. */
export interface LimitedCall {
  readonly userId: string
  readonly keyId?: string | undefined
  readonly accountId: string
  readonly server: string
  readonly method: string
  readonly tool?: string | undefined
  readonly requestBytes: number
}
