// The rule book: all rules in memory, changed only after the store has them, and asked once per call.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import {
  chooseRule,
  compareRules,
  compileRule,
  lifeOf,
  type Choice,
  type CompiledRule,
  type RuleHistory,
  type VersionLife,
} from './choice.ts'
import { RuleFinder } from './finder.ts'
import type { CallFacts, RuleVersion } from './price.ts'
import { readInput, ruleInput, rulePatch, type RuleInput, type RulePatch } from './rule-input.ts'
import type { RuleStore, Statement, StoredRule } from './store.ts'
import { firstVersion, nextVersion, type Making } from './version.ts'

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

/** A rule to publish: the first version of a new one, or with `basedOn` the one after that version. */
export interface PublishPlan {
  readonly ruleId: string
  readonly basedOn?: number
  readonly input: RuleInput
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
      this.#checkRoom(1)
      await this.checkBook(read.book)
      const nowMs = this.#clock.now()
      const rule = firstVersion(read, { ruleId: newId('rul', nowMs), nowMs, by: createdBy })
      await this.#store.insert([rule])
      this.#add([rule])
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
      await this.checkBook(read.book ?? undefined)
      for (let attempt = 1; ; attempt++) {
        const rule = this.#next(this.getRule(ruleId), read, { nowMs: this.#clock.now(), by: createdBy })
        try {
          await this.#store.insert([rule])
        } catch (error) {
          const taken = error instanceof GatewayError && error.code === 'conflict'
          if (!taken || attempt === maxAttempts) throw error
          this.#remember(await this.#store.load(ruleId))
          continue
        }
        this.#add([rule])
        return rule
      }
    })
  }

  /** Retires a rule: it applies to no call from now on, its versions stay readable. Throws `not_found`. */
  async retire(ruleId: string, by?: string): Promise<void> {
    await this.#inTurn(async () => {
      this.getRule(ruleId)
      await this.#store.retire(ruleId, this.#clock.now(), by)
      this.#remember(await this.#store.load(ruleId))
    })
  }

  /**
   * Publishes what was prepared, all at one moment or nothing of it; `also` commits with it. A rule with `basedOn` gets
   * its next version, any other is new. Throws `conflict` where a rule has another version by now than the one that
   * was built on, `not_found` where it is retired.
   */
  publish(plans: readonly PublishPlan[], also: readonly Statement[], by?: string): Promise<RuleVersion[]> {
    return this.#inTurn(async () => {
      const nowMs = this.#clock.now()
      for (const { input } of plans) await this.checkBook(input.book)
      const versions = plans.map(({ ruleId, basedOn, input }) => {
        if (basedOn === undefined) return firstVersion(input, { ruleId, nowMs, by })
        const latest = this.getRule(ruleId)
        if (latest.version !== basedOn) throw outrun(latest, basedOn)
        return this.#next(latest, { ...input, ...ends(input) }, { nowMs, by })
      })
      this.#checkRoom(plans.filter(({ basedOn }) => basedOn === undefined).length)
      await this.#store.insert(versions, also)
      this.#add(versions)
      return versions
    })
  }

  /** Runs `work` while no rule can move into a book. Throws `conflict` where a rule that is not retired is in it. */
  whileUnused(book: string, work: () => Promise<void>): Promise<void> {
    return this.#inTurn(async () => {
      const inside = this.#live().filter(({ versions }) => versions.at(-1)?.rule.book === book)
      const [first] = inside.map(({ ruleId }) => this.getRule(ruleId).name)
      if (first !== undefined) {
        const detail = `The book "${book}" has ${inside.length} rules, "${first}" among them; move or delete them first.`
        throw new GatewayError('conflict', { detail })
      }
      await work()
    })
  }

  #next(latest: RuleVersion, patch: RulePatch, made: Making): RuleVersion {
    const { maxVersions } = this.#limits
    if (latest.version >= maxVersions)
      throw tooMany(`This rule has ${maxVersions} versions, the most; make a new rule instead.`)
    return nextVersion(latest, patch, made)
  }

  #checkRoom(more: number): void {
    const { maxRules } = this.#limits
    if (this.#live().length + more > maxRules)
      throw tooMany(`There are ${maxRules} rules, the most this gateway keeps; delete some.`)
  }

  /** Throws `validation_failed` where there is no such price book. */
  async checkBook(book: string | undefined): Promise<void> {
    if (book === undefined || (await this.#store.hasBook(book))) return
    const message = 'names no price book; make it with POST /billing/books first'
    throw new GatewayError('validation_failed', { fields: [{ field: '/book', message }] })
  }

  /** Whether a version still prices calls, and who ended it. */
  lifeOf(rule: RuleVersion): VersionLife {
    const history = this.#histories.get(rule.ruleId)
    return history ? lifeOf(history, rule, this.#clock.now()) : { state: 'published' }
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

  /** Where each rule that is not retired stands in the order of choice of its book, from 1, by its latest version. */
  ranks(): ReadonlyMap<string, number> {
    const latest = this.#live().flatMap(({ versions }) => versions.at(-1) ?? [])
    const books = Map.groupBy(latest.sort(compareRules), ({ rule }) => rule.book)
    const places = [...books.values()].flatMap((book) =>
      book.map(({ rule }, at) => [rule.ruleId, at + 1] as const),
    )
    return new Map(places)
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

  /** The versions that apply to calls arriving at this time, in the order of choice within each book. */
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

  /** Versions of different rules. */
  #add(versions: readonly RuleVersion[]): void {
    this.#remember(
      versions.map((rule) => {
        const known = this.#histories.get(rule.ruleId)?.versions ?? []
        return { ruleId: rule.ruleId, versions: [...known.map((version) => version.rule), rule] }
      }),
    )
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

/** A whole rule also says what it lacks. */
const ends = ({ effectiveTo, book }: RuleInput) => ({ effectiveTo: effectiveTo ?? null, book: book ?? null })

function outrun({ name, version }: RuleVersion, basedOn: number): GatewayError {
  const detail = `The rule "${name}" has version ${version} by now, and the draft was made from version ${basedOn}; look at both and change the draft with {"basedOn": ${version}}.`
  return new GatewayError('conflict', { detail })
}
