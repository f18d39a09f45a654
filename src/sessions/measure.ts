// What a trusted server says of its own use: tokens and cost, under the names and within the bounds of its registration.
import { parseAmount } from '../base/money.ts'
import type { UsageReport } from '../registry/server.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'

/** What the answer reports; a member is absent where the server says nothing that can be understood. */
export interface Measure {
  readonly tokens?: number
  /** In nano-units of the account's currency. */
  readonly upstreamCost?: bigint
}

const none: Measure = {}

/**
 * Reads the named keys of a result's `_meta`. Tokens are a whole number; a cost is a decimal string, a number, or
 * `{amount, currency}`, and one in another currency than the account's is not understood. What is above the registered
 * maximum is cut to it: the account was asked to cover no more.
 */
export function measureOf(
  answer: JsonRpcMessage,
  report: UsageReport | undefined,
  currency: string,
): Measure {
  const meta = report && (answer.result?.['_meta'] as Readonly<Record<string, unknown>> | undefined)
  if (!report || typeof meta !== 'object' || meta === null) return none
  const tokens = report.tokens && readTokens(meta[report.tokens.key])
  const cost = report.cost && readCost(meta[report.cost.key], currency)
  return {
    ...(report.tokens && tokens !== undefined && { tokens: Math.min(tokens, report.tokens.max) }),
    ...(report.cost && cost !== undefined && { upstreamCost: least(cost, maxCostOf(report)) }),
  }
}

/** The largest cost that is taken, in nano-units. */
export const maxCostOf = (report: UsageReport): bigint => parseAmount(report.cost?.max ?? '0') ?? 0n

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b)

function readTokens(value: unknown): number | undefined {
  const tokens = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  return typeof tokens === 'number' && Number.isSafeInteger(tokens) && tokens >= 0 ? tokens : undefined
}

function readCost(value: unknown, currency: string): bigint | undefined {
  if (typeof value === 'object' && value !== null) {
    const { amount, currency: own } = value as { amount?: unknown; currency?: unknown }
    return own === currency && typeof amount !== 'object' ? readCost(amount, currency) : undefined
  }
  // A number as JSON writes it; what needs more than nine decimals is rounded to them.
  const text = typeof value === 'number' && Number.isFinite(value) ? value.toFixed(9) : value
  const cost = typeof text === 'string' ? parseAmount(text.replace(/^(\d+\.\d{9})\d+$/, '$1')) : undefined
  return cost !== undefined && cost >= 0n ? cost : undefined
}
