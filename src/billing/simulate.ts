// Past usage rated once more, under rules that nobody pays by yet.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { CallIds } from '../base/id.ts'
import { formatAmount } from '../base/money.ts'
import type { Account } from '../ledger/account.ts'
import { booksOf } from '../ledger/account-books.ts'
import { compileRule, type CompiledRule, type RuleHistory } from '../pricing/choice.ts'
import { RuleFinder } from '../pricing/finder.ts'
import { Periods } from '../pricing/periods.ts'
import type { Quantities } from '../pricing/price.ts'
import { rate } from '../pricing/rating.ts'
import type { RuleInput } from '../pricing/rule-input.ts'
import type { UsageFilter } from '../usage/filter.ts'
import type { UsageRecord } from '../usage/record.ts'

/** A rule that nobody pays by, with the id of the rule that it is of, where it is of one. */
export interface SimulatedRule {
  readonly rule: RuleInput
  readonly ruleId?: string
}

export interface SimulationOptions {
  readonly records: AsyncIterable<readonly UsageRecord[]>
  readonly drafts: readonly SimulatedRule[]
  /** Published rules that stay in force beside the drafts. */
  readonly kept: readonly RuleHistory[]
  readonly findAccount: (id: string) => Account | undefined
  /** The version that priced a record. */
  readonly findVersion: (ruleId: string, version: number) => CompiledRule | undefined
  readonly maxRecords: number
  readonly signal: AbortSignal
}

/** Nano-units of one currency, as they were charged and as they would have been. */
interface Sums {
  readonly currency: string
  calls: number
  old: bigint
  new: bigint
}

export interface SimulatedSums {
  readonly currency: string
  readonly calls: number
  readonly old: string
  readonly new: string
}

export interface Simulation {
  readonly records: number
  readonly totals: readonly SimulatedSums[]
  /** Calls that no rule priced. */
  readonly unpriced: { readonly old: number; readonly new: number }
  /** By the rule that would price the calls; without a name those that none would. Only what has an id has one. */
  readonly byRule: readonly (SimulatedSums & { readonly rule: string | null; readonly ruleId?: string })[]
  readonly byAccount: readonly (SimulatedSums & { readonly accountId: string })[]
}

const draftId = (index: number): string => `draft ${index}`
const idOf = (rule: CompiledRule | undefined): string | undefined =>
  rule?.rule.ruleId.startsWith('rul_') ? rule.rule.ruleId : undefined

/**
 * Rates records in the order of their arrival, each for the outcome and the quantities that it had. Drafts count as in
 * force all the time. What was free although a rule matched it (a round that asked for input, a malformed request)
 * stays free. Periods that prices count over begin at zero with the first record. Throws `unprocessable` beyond
 * `maxRecords`.
 */
export async function simulate(options: SimulationOptions): Promise<Simulation> {
  const run = new Run(options)
  for await (const page of options.records) {
    options.signal.throwIfAborted()
    for (const record of page) run.add(record)
  }
  return run.result()
}

class Run {
  readonly #options: SimulationOptions
  readonly #finder: RuleFinder
  readonly #names = new Map<string, string>()
  readonly #periods = new Periods()
  readonly #counted = new Map<string, bigint>()
  readonly #totals = new Map<string, Sums>()
  readonly #rules = new Map<string, Sums & { rule: string | null; ruleId: string | undefined }>()
  readonly #accounts = new Map<string, Sums & { accountId: string }>()
  #records = 0
  #unpriced = { old: 0, new: 0 }

  constructor(options: SimulationOptions) {
    this.#options = options
    const drafts = options.drafts.map((draft, index): RuleHistory => {
      const { effectiveFrom: _from, effectiveTo: _to, ...rule } = draft.rule
      const ruleId = draft.ruleId ?? draftId(index)
      const own = { ...rule, ruleId, version: 1, effectiveFromMs: 0, createdAtMs: 0 }
      return { ruleId: own.ruleId, versions: [compileRule(own)] }
    })
    const replaced = new Set(drafts.map(({ ruleId }) => ruleId))
    const rules = [...drafts, ...options.kept.filter(({ ruleId }) => !replaced.has(ruleId))]
    for (const { ruleId, versions } of rules) this.#names.set(ruleId, versions.at(-1)?.rule.name ?? ruleId)
    this.#finder = new RuleFinder(rules, { maxCached: 10_000 })
  }

  add(record: UsageRecord): void {
    const { maxRecords } = this.#options
    if (++this.#records > maxRecords) {
      const detail = `There are more than ${maxRecords} records; choose a shorter period or one account.`
      throw new GatewayError('unprocessable', { detail })
    }
    const { currency, accountId, cost: old } = record
    const rule = this.#find(record)
    const cost = rule && this.#isBilled(record, rule) ? this.#rate(record, rule) : 0n
    if (!record.priced) this.#unpriced.old++
    if (!rule) this.#unpriced.new++
    const name = rule ? (this.#names.get(rule.rule.ruleId) ?? null) : null
    const fresh = { currency, calls: 0, old: 0n, new: 0n }
    for (const sums of [
      member(this.#totals, currency, () => ({ ...fresh })),
      member(this.#rules, `${rule?.rule.ruleId ?? ''} ${currency}`, () => ({
        rule: name,
        ruleId: idOf(rule),
        ...fresh,
      })),
      member(this.#accounts, `${accountId} ${currency}`, () => ({ accountId, ...fresh })),
    ]) {
      sums.calls++
      sums.old += old
      sums.new += cost
    }
  }

  result(): Simulation {
    return {
      records: this.#records,
      totals: [...this.#totals.values()].map(shown),
      unpriced: this.#unpriced,
      byRule: [...this.#rules.values()].map(({ rule, ruleId, ...sums }) => ({
        rule,
        ...(ruleId !== undefined && { ruleId }),
        ...shown(sums),
      })),
      byAccount: [...this.#accounts.values()].map((sums) => ({ accountId: sums.accountId, ...shown(sums) })),
    }
  }

  #find(record: UsageRecord): CompiledRule | undefined {
    const { server, method, tool, userId: user, accountId: account, transport, currency } = record
    const atMs = CallIds.timeMs(record.id)
    // An account keeps no history of its books: those of today count.
    const payer = this.#options.findAccount(account)
    const books = payer && booksOf(payer, this.#options)
    return this.#finder.find({ server, method, tool, user, account, transport, currency, books, atMs })
  }

  #isBilled(record: UsageRecord, { rule }: CompiledRule): boolean {
    return record.outcome !== 'denied' && rule.billOn.includes(record.outcome) && !this.#wasFree(record)
  }

  /** What its rule would have charged for this outcome, and did not. */
  #wasFree(record: UsageRecord): boolean {
    const { ruleId, ruleVersion, cost, outcome } = record
    if (cost !== 0n || ruleId === undefined || ruleVersion === undefined) return false
    const version = this.#options.findVersion(ruleId, ruleVersion)
    if (!version?.rule.billOn.includes(outcome)) return false
    if (version.rates.cumulative) return record.counted === undefined
    return rate(version.rates, quantitiesOf(record)) !== 0n
  }

  #rate(record: UsageRecord, { rule, rates }: CompiledRule): bigint {
    const quantities = quantitiesOf(record)
    const { cumulative } = rates
    if (!cumulative) return rate(rates, quantities)
    const { accountId, keyId, sessionId } = record
    const subject = { account: accountId, key: keyId, session: sessionId }[cumulative.per] ?? accountId
    const zone = this.#options.findAccount(accountId)?.timeZone ?? 'UTC'
    const periodMs = this.#periods.startOf(cumulative.period, zone, CallIds.timeMs(record.id))
    const name = `${rule.ruleId} ${cumulative.unit} ${subject} ${periodMs}`
    const before = this.#counted.get(name)
    this.#counted.set(name, (before ?? 0n) + cumulative.countOf(quantities))
    return rate(rates, quantities, before)
  }
}

const shown = ({ currency, calls, old, new: cost }: Sums): SimulatedSums => ({
  currency,
  calls,
  old: formatAmount(old),
  new: formatAmount(cost),
})

function member<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

function quantitiesOf(record: UsageRecord): Quantities {
  const { requestBytes, responseBytes, durationUs, tokens, upstreamCost } = record
  const bytes = requestBytes + responseBytes
  return { calls: 1, bytes, durationUs, tokens: tokens ?? 0, upstreamCost: upstreamCost ?? 0n }
}

/** The month before the current one, in UTC: what a simulation is about where nothing is said. */
export function lastMonth(clock: Clock): Required<Pick<UsageFilter, 'fromMs' | 'toMs'>> {
  const now = new Date(clock.now())
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()]
  return { fromMs: Date.UTC(year, month - 1), toMs: Date.UTC(year, month) }
}
