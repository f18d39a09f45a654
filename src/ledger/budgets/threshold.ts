// Thresholds of budgets: decimals above 0 and not above 1, and the amounts at which they are passed.
import { formatDecimal, parseDecimal } from '../../base/money.ts'
import type { Budget, Threshold } from './budget.ts'

const scale = 9
const one = 10n ** 9n

/** Reads "0.8"; undefined where it is no decimal above 0 and not above 1 with at most 9 decimals. */
export function readThreshold(text: string): Threshold | undefined {
  const share = parseDecimal(text, scale)
  if (share === undefined || share <= 0n || share > one) return undefined
  return { text: formatDecimal(share, scale), share }
}

/** Each once, in ascending order. */
export function inOrder(thresholds: readonly Threshold[]): Threshold[] {
  return [...new Map(thresholds.map((each) => [each.share, each])).values()].sort((a, b) =>
    a.share < b.share ? -1 : 1,
  )
}

/** Least amounts in nano-units that pass each threshold. */
export const marksOf = ({ amount, thresholds }: Pick<Budget, 'amount' | 'thresholds'>): Mark[] =>
  thresholds.map(({ text, share }) => ({ text, amount: (amount * share + one - 1n) / one }))

export interface Mark {
  readonly text: string
  readonly amount: bigint
}
