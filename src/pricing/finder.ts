// The fast path of rule choice: rules in force, sorted once, and a bounded cache of answers until the next boundary.
import { applies, compareRules, versionInForce, type CompiledRule, type RuleHistory } from './choice.ts'
import { findMismatch } from './match.ts'
import type { CallBooks, CallFacts } from './price.ts'

/** Longer facts are looked up each time and never kept: names come from callers. */
const maxKeyLength = 1000

/**
 * Finds the rule that `chooseRule` chooses, without the reasons. Made anew for each set of rules. Between two
 * effective boundaries the rules in force stand in a fixed order, so the first that matches is the answer.
 */
export class RuleFinder {
  readonly #histories: readonly RuleHistory[]
  readonly #maxCached: number
  #fromMs = Number.POSITIVE_INFINITY
  #untilMs = Number.NEGATIVE_INFINITY
  #ordered: readonly CompiledRule[] = []
  /** The same by price book; those in none under the empty name. */
  #byBook: ReadonlyMap<string, readonly CompiledRule[]> = new Map()
  /** Two generations make a cheap LRU: a hit in the old one moves up, a full young one becomes the old one. */
  #young = new Map<string, CompiledRule | null>()
  #old = new Map<string, CompiledRule | null>()

  /** `maxCached`: answers kept, at most. */
  constructor(histories: readonly RuleHistory[], options: { maxCached: number }) {
    this.#histories = histories
    this.#maxCached = Math.max(2, options.maxCached)
  }

  /** The rule that prices this call, or undefined where none does. */
  find(facts: CallFacts): CompiledRule | undefined {
    if (facts.atMs < this.#fromMs || facts.atMs >= this.#untilMs) this.#moveTo(facts.atMs)
    const key = keyOf(facts)
    const cached = this.#young.get(key)
    if (cached !== undefined) return cached ?? undefined
    const found = this.#old.get(key) ?? this.#search(facts) ?? null
    if (key.length <= maxKeyLength) this.#keep(key, found)
    return found ?? undefined
  }

  /** The rules that apply at this time, in the order of choice within each book. */
  at(timeMs: number): readonly CompiledRule[] {
    if (timeMs < this.#fromMs || timeMs >= this.#untilMs) this.#moveTo(timeMs)
    return this.#ordered
  }

  get cached(): number {
    return this.#young.size + this.#old.size
  }

  #search(facts: CallFacts): CompiledRule | undefined {
    const { priceBook, plan } = facts.books ?? {}
    const own = priceBook === undefined ? undefined : this.#searchBook(priceBook, facts)
    const planned = plan === undefined ? undefined : this.#searchBook(plan, facts)
    return own ?? planned ?? this.#searchBook('', facts)
  }

  #searchBook(book: string, facts: CallFacts): CompiledRule | undefined {
    return this.#byBook
      .get(book)
      ?.find(
        (version) =>
          version.rule.currency === facts.currency && findMismatch(version.match, facts) === undefined,
      )
  }

  #keep(key: string, found: CompiledRule | null): void {
    if (this.#young.size >= this.#maxCached / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, found)
  }

  /** Sorts the rules in force at a time and finds the span around it in which nothing begins or ends. */
  #moveTo(atMs: number): void {
    this.#fromMs = Number.NEGATIVE_INFINITY
    this.#untilMs = Number.POSITIVE_INFINITY
    const ordered: CompiledRule[] = []
    for (const history of this.#histories) {
      this.#bound(history.retiredAtMs, atMs)
      for (const { rule } of history.versions) {
        this.#bound(rule.effectiveFromMs, atMs)
        this.#bound(rule.effectiveToMs, atMs)
      }
      const version = versionInForce(history, atMs)
      if (version && applies(version, atMs)) ordered.push(version)
    }
    this.#ordered = ordered.sort(compareRules)
    this.#byBook = Map.groupBy(this.#ordered, ({ rule }) => rule.book ?? '')
    this.#young = new Map()
    this.#old = new Map()
  }

  #bound(boundaryMs: number | undefined, atMs: number): void {
    if (boundaryMs === undefined) return
    if (boundaryMs <= atMs) this.#fromMs = Math.max(this.#fromMs, boundaryMs)
    else this.#untilMs = Math.min(this.#untilMs, boundaryMs)
  }
}

/** Everything a choice depends on but the time. The lengths make the key unambiguous whatever the texts hold. */
function keyOf(facts: CallFacts): string {
  const books = facts.books === undefined ? '' : booksKey(facts.books)
  const { currency, transport, account, user, server, method, tool } = facts
  const lengths = `${transport.length},${account.length},${user.length},${server.length},${method.length}`
  return `${books}${lengths},${currency}${transport}${account}${user}${server}${method}${tool === undefined ? '' : `/${tool}`}`
}

/** Begins with a letter and ends with a comma, so that nothing else begins like it; names of books hold no slash or comma. */
const booksKey = ({ priceBook = '', plan = '' }: CallBooks): string => `b/${priceBook}/${plan},`
