// What the linter says: one finding, which rules it is about, and one sentence.

export const findingKinds = [
  'ambiguous',
  'shadowed',
  'unpriced',
  'partly-unpriced',
  'mixed-currency',
] as const
export type FindingKind = (typeof findingKinds)[number]

export const severities = ['error', 'warning'] as const
export type Severity = (typeof severities)[number]

/** A version of a rule; with `draft` one that would be published out of that draft. */
export interface RuleMention {
  readonly id: string
  readonly version: number
  readonly name: string
  readonly draft?: string
}

export interface Finding {
  readonly kind: FindingKind
  readonly severity: Severity
  /** For `shadowed` first the one that is never chosen, then the one before it. */
  readonly rules: readonly RuleMention[]
  /** For the kinds that are about tools. */
  readonly server?: string
  readonly tools?: readonly string[]
  readonly sentence: string
}
