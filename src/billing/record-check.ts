// Whether a record's cost is what its rule version makes of its quantities. Pure.
import { formatAmount } from '../base/money.ts'
import type { CompiledRule } from '../pricing/choice.ts'
import { outcomes } from '../pricing/price.ts'
import { rate } from '../pricing/rating.ts'
import type { AuditedRecord } from './store.ts'

/**
 * A prepaid call whose price grows with time is held for its first second, then looked after again and again; what
 * passes between the last look and the answer is not charged where the account does not cover it.
 */
const alwaysCoveredUs = 1_000_000
/** That stretch is never longer. */
const uncoveredUs = 1_000_000

/**
 * What the cost should be and is not, or undefined where it is right. `findVersion` knows all rule versions. A billed
 * outcome may be free all the same: refused as malformed, never sent, or a round that only asks for input.
 */
export function findCostProblem(
  record: AuditedRecord,
  findVersion: (ruleId: string, version: number) => CompiledRule | undefined,
): string | undefined {
  const { cost, account_id, outcome, currency, rule, rule_id, rule_version } = record
  if (account_id === null || outcome === null || currency === null)
    return 'an account, an outcome and a currency'
  if (rule === null) return cost === 0n ? undefined : '0 (no rule)'
  const version =
    rule_id === null || rule_version === null ? undefined : findVersion(rule_id, Number(rule_version))
  if (!version) return `a version ${rule_version ?? '?'} of the rule ${rule_id ?? '?'}`
  if (version.rule.currency !== currency) return `a cost in ${version.rule.currency}`
  if (cost === 0n) return undefined
  const known = outcomes.find((each) => each === outcome)
  if (!known || !version.rule.billOn.includes(known)) return `0 (${outcome} is not billed)`
  const bytes = Number(record.request_bytes) + Number(record.response_bytes)
  const durationUs = Number(record.duration_us)
  if (bytes < 0 || durationUs < 0) return 'quantities that are not negative'
  const { counted_before: before, tokens, upstream_cost: upstreamCost } = record
  if ((before !== null) !== (version.rates.cumulative !== undefined))
    return version.rates.cumulative ? 'what was counted before' : 'nothing counted before'
  const counted = before === null || before < 0n ? undefined : before
  const measured = {
    calls: 1,
    bytes,
    ...(tokens !== null && { tokens: Number(tokens) }),
    upstreamCost: upstreamCost ?? 0n,
  }
  const full = rate(version.rates, { ...measured, durationUs }, counted)
  if (cost === full) return undefined
  if (version.rates.perSecond !== 0n && cost < full) {
    const coveredUs = Math.min(durationUs, Math.max(alwaysCoveredUs, durationUs - uncoveredUs))
    if (cost >= rate(version.rates, { ...measured, durationUs: coveredUs }, counted)) return undefined
  }
  return formatAmount(full)
}
