// Adding usage up: sums by group and currency, and percentiles out of the latency buckets. Pure.
import { divideRounded, formatAmount } from '../base/money.ts'
import { latencyBoundsUs } from './record.ts'

/** Sums of some calls of one currency. Costs in nano-units, times in microseconds. */
export interface UsageSum {
  readonly currency: string
  calls: number
  failed: number
  unpriced: number
  cost: bigint
  requestBytes: number
  responseBytes: number
  durationUs: number
  readonly latency: number[]
}

export const emptySum = (currency: string): UsageSum => ({
  currency,
  calls: 0,
  failed: 0,
  unpriced: 0,
  cost: 0n,
  requestBytes: 0,
  responseBytes: 0,
  durationUs: 0,
  latency: Array.from({ length: latencyBoundsUs.length + 1 }, () => 0),
})

/** Adds one sum to another of the same currency. */
export function addSum(to: UsageSum, from: UsageSum): void {
  to.calls += from.calls
  to.failed += from.failed
  to.unpriced += from.unpriced
  to.cost += from.cost
  to.requestBytes += from.requestBytes
  to.responseBytes += from.responseBytes
  to.durationUs += from.durationUs
  for (const [index, count] of from.latency.entries()) to.latency[index] = (to.latency[index] ?? 0) + count
}

/**
 * The duration in milliseconds that `share` (0…1) of the calls do not pass: linear within its bucket, so it is off by
 * at most the bucket's width; the lower bound of the open last bucket. Null where there are no calls.
 */
export function percentileMs(latency: readonly number[], share: number): number | null {
  const total = latency.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  const rank = share * total
  let below = 0
  for (const [index, count] of latency.entries()) {
    if (count > 0 && below + count >= rank) {
      const low = index === 0 ? 0 : (latencyBoundsUs[index - 1] ?? 0)
      const high = latencyBoundsUs[index] ?? low
      return Math.round(low + ((high - low) * (rank - below)) / count) / 1000
    }
    below += count
  }
  return (latencyBoundsUs.at(-1) ?? 0) / 1000
}

/** Sums over calls that may have been paid in several currencies; costs are only there where it was one. */
export interface UsageTotals {
  readonly totalCalls: number
  readonly successfulCalls: number
  readonly failedCalls: number
  /** Calls that no rule matched. */
  readonly unpricedCalls: number
  /** Null where several currencies occur: see `totals`. */
  readonly totalCost: string | null
  readonly averageCostPerCall: string | null
  readonly currency: string | null
  readonly totals: readonly { readonly currency: string; readonly calls: number; readonly cost: string }[]
  readonly requestBytes: number
  readonly responseBytes: number
  readonly averageDurationMs: number
  readonly p50Ms: number | null
  readonly p95Ms: number | null
}

/** The totals of sums by currency; `fallback` names the currency where there were no calls. */
export function totalsOf(sums: readonly UsageSum[], fallback: string | undefined): UsageTotals {
  const all = emptySum('')
  for (const sum of sums) addSum(all, sum)
  const [only] = sums
  const one = sums.length <= 1
  const average = all.calls === 0 ? 0n : divideRounded(all.cost, BigInt(all.calls))
  return {
    totalCalls: all.calls,
    successfulCalls: all.calls - all.failed,
    failedCalls: all.failed,
    unpricedCalls: all.unpriced,
    totalCost: one ? formatAmount(all.cost) : null,
    averageCostPerCall: one ? formatAmount(average) : null,
    currency: one ? (only?.currency ?? fallback ?? null) : null,
    totals: sums.map(({ currency, calls, cost }) => ({ currency, calls, cost: formatAmount(cost) })),
    requestBytes: all.requestBytes,
    responseBytes: all.responseBytes,
    averageDurationMs: all.calls === 0 ? 0 : Math.round(all.durationUs / all.calls) / 1000,
    p50Ms: percentileMs(all.latency, 0.5),
    p95Ms: percentileMs(all.latency, 0.95),
  }
}
