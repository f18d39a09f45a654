// The rule book: all rules in memory, changed only after the store has them, and asked once per call.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import { chooseRule, compileRule, type Choice, type CompiledRule, type RuleHistory } from './choice.ts'
import { RuleFinder } from './finder.ts'
import type { CallFacts, RuleVersion } from './price.ts'
import { readInput, ruleInput, rulePatch, type RuleInput, type RulePatch } from './rule-input.ts'
import type { RuleStore, StoredRule } from './store.ts'

export interface RuleBookLimits {
  /** Rules that are not retired. */
  readonly maxRules: number
  readonly maxVersions: number
  /** Answers that the fast path keeps. */
  readonly maxCached: number
  /** Changes that may wait for their turn. */
  readonly maxPending: number
}

const defaultRuleBookLimits: RuleBookLimits = {
  maxRules: 10_000,
  maxVersions: 1000,
  maxCached: 20_000,
  maxPending: 1000,
}

interface RuleBookParts {
  readonly store: RuleStore
  readonly clock: Clock
  readonly limits?: Partial<RuleBookLimits>
}

/** How often a change is made anew when another node took its version number. */
const maxAttempts = 20

/** All rules of this gateway. Reading is synchronous and never waits for the store. */
export class RuleBook {
  readonly #store: RuleStore
  readonly #clock: Clock
  readonly #limits: RuleBookLimits
  readonly #histories = new Map<string, RuleHistory>()
  #finder: RuleFinder
  #turn: Promise<unknown> = Promise.resolve()
  #pending = 0

  private constructor(parts: RuleBookParts) {
    this.#store = parts.store
    this.#clock = parts.clock
    this.#limits = { ...defaultRuleBookLimits, ...parts.limits }
    this.#finder = new RuleFinder([], this.#limits)
  }

  /** Loads every rule from the store. */
  static async open(parts: RuleBookParts): Promise<RuleBook> {
    const book = new RuleBook(parts)
    await book.reload()
    return book
  }

  /** Takes over what other nodes have written. Rejects with `store_unavailable` and then keeps what it has. */
  reload(): Promise<void> {
    return this.#inTurn(async () => this.#remember(await this.#store.load()))
  }

  /** Makes a rule from the body of POST /rules. Throws `validation_failed`; resolves when it is durable. */
  async create(input: unknown, createdBy?: string): Promise<RuleVersion> {
    const read = readInput(ruleInput, input)
    return this.#inTurn(async () => {
      if (this.#live().length >= this.#limits.maxRules)
        throw tooMany(`There are ${this.#limits.maxRules} rules, the most this gateway keeps; delete some.`)
      const nowMs = this.#clock.now()
      const rule = firstVersion(read, nowMs)
      await this.#store.insert(rule, createdBy)
      this.#remember([{ ruleId: rule.ruleId, versions: [rule] }])
      return rule
    })
  }

  /**
   * Makes the next version of a rule from the body of PATCH /rules/{id} (see `rulePatch`), built on its latest one.
   * Throws `not_found`, `validation_failed`; resolves when it is durable. Changes that cross make one version each.
   */
  async change(ruleId: string, patch: unknown, createdBy?: string): Promise<RuleVersion> {
    const read = readInput(rulePatch, patch)
    return this.#inTurn(async () => {
      for (let attempt = 1; ; attempt++) {
        const rule = nextVersion(this.getRule(ruleId), read, this.#clock.now())
        if (rule.version > this.#limits.maxVersions)
          throw tooMany(
            `This rule has ${this.#limits.maxVersions} versions, the most; make a new rule instead.`,
          )
        try {
          await this.#store.append(rule, createdBy)
        } catch (error) {
          const taken = error instanceof GatewayError && error.code === 'conflict'
          if (!taken || attempt === maxAttempts) throw error
          this.#remember(await this.#store.load(ruleId))
          continue
        }
        this.#add(rule)
        return rule
      }
    })
  }

  /** Retires a rule: it applies to no call from now on, its versions stay readable. Throws `not_found`. */
  async retire(ruleId: string): Promise<void> {
    await this.#inTurn(async () => {
      this.getRule(ruleId)
      await this.#store.retire(ruleId, this.#clock.now())
      this.#remember(await this.#store.load(ruleId))
    })
  }

  /** The latest version of a rule that is not retired. Throws `not_found`. */
  getRule(ruleId: string): RuleVersion {
    const history = this.#histories.get(ruleId)
    const latest = history?.versions.at(-1)
    if (!history || !latest || history.retiredAtMs !== undefined) throw new GatewayError('not_found')
    return latest.rule
  }

  /** The latest versions of the rules that are not retired, ascending by id; `cursor` is the last id of a page. */
  listRules(page: { limit: number; cursor?: string }): { items: RuleVersion[]; nextCursor: string | null } {
    const { limit, cursor } = page
    const rest = this.#live()
      .map((history) => history.ruleId)
      .filter((id) => cursor === undefined || id > cursor)
      .sort()
    const items = rest.slice(0, limit).map((id) => this.getRule(id))
    return { items, nextCursor: rest.length > limit ? (items.at(-1)?.ruleId ?? null) : null }
  }

  /** Every version of a rule, ascending, of retired rules too. Throws `not_found`. */
  getVersions(ruleId: string): RuleVersion[] {
    const history = this.#histories.get(ruleId)
    if (!history) throw new GatewayError('not_found')
    return history.versions.map((version) => version.rule)
  }

  /** One version with its rates, of retired rules too: what a record's cost is recomputed from. */
  findVersion(ruleId: string, version: number): CompiledRule | undefined {
    const versions = this.#histories.get(ruleId)?.versions
    const likely = versions?.[version - 1]
    return likely?.rule.version === version
      ? likely
      : versions?.find((compiled) => compiled.rule.version === version)
  }

  /** The versions that apply to calls arriving at this time, in the order of choice. */
  at(timeMs: number): readonly CompiledRule[] {
    return new RuleFinder([...this.#histories.values()], this.#limits).at(timeMs)
  }

  /** The rule that prices a call, or undefined where none does. The hot path: about a microsecond when known. */
  findRule(facts: CallFacts): CompiledRule | undefined {
    return this.#finder.find(facts)
  }

  /** The same choice with every candidate and why it lost. */
  explain(facts: CallFacts): Choice {
    return chooseRule([...this.#histories.values()], facts)
  }

  /** Every rule with all its versions, retired ones too. */
  histories(): readonly RuleHistory[] {
    return [...this.#histories.values()]
  }

  #live(): RuleHistory[] {
    return [...this.#histories.values()].filter((history) => history.retiredAtMs === undefined)
  }

  /** Replaces the histories of these rules; versions that are known already are not compiled again. */
  #remember(stored: readonly StoredRule[]): void {
    for (const { versions, ...rest } of stored)
      this.#histories.set(rest.ruleId, {
        ...rest,
        versions: versions.map((rule) => this.findVersion(rule.ruleId, rule.version) ?? compileRule(rule)),
      })
    this.#finder = new RuleFinder([...this.#histories.values()], this.#limits)
  }

  #add(rule: RuleVersion): void {
    this.#remember([{ ruleId: rule.ruleId, versions: [...this.getVersions(rule.ruleId), rule] }])
  }

  /** Runs changes one after another, so that those of one node never meet in the store. */
  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#pending >= this.#limits.maxPending) throw new GatewayError('overloaded')
    this.#pending++
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    try {
      return await mine
    } finally {
      this.#pending--
    }
  }
}

const tooMany = (detail: string): GatewayError => new GatewayError('unprocessable', { detail })

function firstVersion(input: RuleInput, nowMs: number): RuleVersion {
  const { effectiveFrom, effectiveTo, ...rest } = input
  const effectiveFromMs = effectiveFrom === undefined ? nowMs : Date.parse(effectiveFrom)
  const effectiveToMs = effectiveTo === undefined ? undefined : Date.parse(effectiveTo)
  return {
    ...rest,
    ruleId: newId('rul', nowMs),
    version: 1,
    ...span(effectiveFromMs, effectiveToMs),
    createdAtMs: nowMs,
  }
}

function nextVersion(latest: RuleVersion, patch: RulePatch, nowMs: number): RuleVersion {
  const { effectiveFrom, effectiveTo, ...changes } = patch
  const { effectiveToMs: oldEndMs, ...base } = latest
  const startMs =
    effectiveFrom === undefined ? Math.max(nowMs, base.effectiveFromMs) : Date.parse(effectiveFrom)
  const endMs =
    effectiveTo === undefined ? oldEndMs : effectiveTo === null ? undefined : Date.parse(effectiveTo)
  return { ...base, ...changes, version: base.version + 1, ...span(startMs, endMs), createdAtMs: nowMs }
}

/** Checks that a version begins before it ends. */
function span(
  startMs: number,
  endMs: number | undefined,
): Pick<RuleVersion, 'effectiveFromMs' | 'effectiveToMs'> {
  if (endMs === undefined) return { effectiveFromMs: startMs }
  if (endMs > startMs) return { effectiveFromMs: startMs, effectiveToMs: endMs }
  const message = `must be after the start, ${new Date(startMs).toISOString()}; null takes the end away`
  throw new GatewayError('validation_failed', { fields: [{ field: '/effectiveTo', message }] })
}
