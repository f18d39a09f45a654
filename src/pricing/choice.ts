// Rule choice: the one total order that picks a rule for a call, and the sentence that tells each other one why not.
import { compileMatch, findMismatch, matchFields, type CompiledMatch } from './match.ts'
import type { CallBooks, CallFacts, RuleVersion } from './price.ts'
import { compilePrice, type Rates } from './rating.ts'

/** A version with its globs and rates compiled. */
export interface CompiledRule {
  readonly rule: RuleVersion
  readonly match: CompiledMatch
  readonly rates: Rates
}

/** A rule's life: its versions in ascending order, and when it was retired. */
export interface RuleHistory {
  readonly ruleId: string
  readonly versions: readonly CompiledRule[]
  /** From this time on the rule applies to no call; its versions stay readable. */
  readonly retiredAtMs?: number
  readonly retiredBy?: string
  /** The draft that its last version stands for, where that is not published. */
  readonly draft?: string
}

/** How one rule fared for a call. `matched` says that it would apply if no other rule stood before it. */
export interface Candidate {
  readonly ruleId: string
  readonly version: number
  readonly name: string
  readonly priority: number
  readonly book?: string
  readonly matched: boolean
  /** One sentence; absent for the chosen rule alone. */
  readonly lostBecause?: string
}

export interface Choice {
  readonly chosen?: CompiledRule
  /** The chosen rule first, then those that matched in the order of choice, then the others in the same order. */
  readonly candidates: readonly Candidate[]
}

export const compileRule = (rule: RuleVersion): CompiledRule => ({
  rule,
  match: compileMatch(rule.match),
  rates: compilePrice(rule.price),
})

/**
 * The version that speaks for a rule at a time: the highest one that has taken effect by then. Whether it applies
 * is for its `active` and its end to say; an older version never comes back. Undefined before the first and from
 * the retirement on.
 */
export function versionInForce(history: RuleHistory, atMs: number): CompiledRule | undefined {
  if (isRetired(history, atMs)) return undefined
  return history.versions.findLast((version) => version.rule.effectiveFromMs <= atMs)
}

const isRetired = (history: RuleHistory, atMs: number): boolean =>
  history.retiredAtMs !== undefined && history.retiredAtMs <= atMs

/** Whether a version in force applies to calls at this time at all. */
export const applies = ({ rule }: CompiledRule, atMs: number): boolean =>
  rule.active && (rule.effectiveToMs === undefined || atMs < rule.effectiveToMs)

/** What becomes of a version: who or what ended it, and when. */
export interface VersionLife {
  readonly state: 'published' | 'retired'
  readonly retiredAtMs?: number
  readonly retiredBy?: string
}

/**
 * A version is retired once it prices no further call: its rule was removed, its end has come, or a later version has
 * taken effect. One that takes effect in the future is published.
 */
export function lifeOf(history: RuleHistory, rule: RuleVersion, nowMs: number): VersionLife {
  const ends: { readonly atMs: number; readonly by: string | undefined }[] = []
  if (history.retiredAtMs !== undefined) ends.push({ atMs: history.retiredAtMs, by: history.retiredBy })
  if (rule.effectiveToMs !== undefined) ends.push({ atMs: rule.effectiveToMs, by: rule.createdBy })
  for (const { rule: later } of history.versions)
    if (later.version > rule.version) ends.push({ atMs: later.effectiveFromMs, by: later.createdBy })
  const [first] = ends.sort((a, b) => a.atMs - b.atMs)
  if (!first || first.atMs > nowMs) return { state: 'published' }
  return { state: 'retired', retiredAtMs: first.atMs, ...(first.by !== undefined && { retiredBy: first.by }) }
}

/** How near a rule's book is to an account: its own book 0, its plan's 1, no book 2; undefined where it lacks the book. */
function bookRank({ rule: { book } }: CompiledRule, books: CallBooks | undefined): number | undefined {
  if (book === undefined) return 2
  if (book === books?.priceBook) return 0
  return book === books?.plan ? 1 : undefined
}

/**
 * The order of choice within one price book, best first: higher priority; exact before glob before any, compared field by field (tool,
 * server, method, user, account, transport); more literal characters; later taking effect; newer id. It depends on
 * the rules alone, not on the call, and two rules with different ids never tie.
 */
export function compareRules(a: CompiledRule, b: CompiledRule): number {
  if (a.rule.priority !== b.rule.priority) return b.rule.priority - a.rule.priority
  const field = firstClassDifference(a, b)
  if (field >= 0) return (b.match.classes[field] ?? 0) - (a.match.classes[field] ?? 0)
  if (a.match.literalLength !== b.match.literalLength) return b.match.literalLength - a.match.literalLength
  if (a.rule.effectiveFromMs !== b.rule.effectiveFromMs)
    return b.rule.effectiveFromMs - a.rule.effectiveFromMs
  if (a.rule.ruleId === b.rule.ruleId) return b.rule.version - a.rule.version
  return a.rule.ruleId > b.rule.ruleId ? -1 : 1
}

const firstClassDifference = (a: CompiledRule, b: CompiledRule): number =>
  a.match.classes.findIndex((own, field) => own !== b.match.classes[field])

/** Chooses the rule for a call and explains the choice. Pure; linear in the rules but for one sort. */
export function chooseRule(histories: readonly RuleHistory[], facts: CallFacts): Choice {
  const rankOf = (version: CompiledRule): number => bookRank(version, facts.books) ?? 3
  const standing: { version: CompiledRule; obstacle: string | undefined }[] = []
  for (const history of histories) {
    const version = versionInForce(history, facts.atMs) ?? history.versions[0]
    if (version && !isRetired(history, facts.atMs))
      standing.push({ version, obstacle: obstacleOf(version, facts) })
  }
  standing.sort(
    (a, b) =>
      Number(a.obstacle !== undefined) - Number(b.obstacle !== undefined) ||
      rankOf(a.version) - rankOf(b.version) ||
      compareRules(a.version, b.version),
  )
  const first = standing[0]
  const chosen = first && first.obstacle === undefined ? first.version : undefined
  const candidates = standing.map(({ version, obstacle }): Candidate => {
    const { ruleId, version: number, name, priority, book } = version.rule
    const matched = obstacle === undefined
    const own = { ruleId, version: number, name, priority, ...(book !== undefined && { book }), matched }
    if (version === chosen) return own
    return {
      ...own,
      lostBecause: obstacle ?? (chosen ? defeat(version, chosen, facts.books) : 'No rule was chosen.'),
    }
  })
  return chosen ? { chosen, candidates } : { candidates }
}

/** Why a version cannot price a call whatever the other rules are, or undefined where it can. */
function obstacleOf(version: CompiledRule, facts: CallFacts): string | undefined {
  const { rule } = version
  if (rule.effectiveFromMs > facts.atMs) return `It takes effect at ${time(rule.effectiveFromMs)}.`
  if (!rule.active) return `Version ${rule.version} is not active.`
  if (rule.effectiveToMs !== undefined && facts.atMs >= rule.effectiveToMs)
    return `Version ${rule.version} ended at ${time(rule.effectiveToMs)}.`
  if (rule.currency !== facts.currency)
    return `It is priced in ${rule.currency} and the account pays in ${facts.currency}.`
  if (bookRank(version, facts.books) === undefined)
    return `It is in the book ${quoted(rule.book ?? '')}, which this account does not have.`
  const field = findMismatch(version.match, facts)
  if (field === undefined) return undefined
  const value = facts[field]
  if (value === undefined) return `It asks for a ${field}, and this call has none.`
  return `Its ${field} ${quoted(rule.match[field] ?? '')} does not match ${quoted(value)}.`
}

/** Why a matching version stands behind the chosen one: the first step of the order that parts them. */
function defeat(lost: CompiledRule, chosen: CompiledRule, books: CallBooks | undefined): string {
  const winner = quoted(chosen.rule.name)
  if (bookRank(lost, books) !== bookRank(chosen, books)) {
    const own =
      lost.rule.book === undefined ? 'It is in no book' : `It is in the book ${quoted(lost.rule.book)}`
    const whose = bookRank(chosen, books) === 0 ? "the account's own" : "that of the account's plan"
    return `${own} and stands behind ${winner} in the book ${quoted(chosen.rule.book ?? '')}, ${whose}.`
  }
  if (lost.rule.priority !== chosen.rule.priority)
    return `Its priority ${lost.rule.priority} is below ${chosen.rule.priority} of ${winner}.`
  const field = firstClassDifference(lost, chosen)
  if (field >= 0) {
    const name = matchFields[field] ?? 'tool'
    const words = ['any value', 'a glob', 'an exact name']
    const [own, other] = [lost, chosen].map((rule) => words[rule.match.classes[field] ?? 0])
    return `Its ${name} is ${own}; ${winner} has ${other}, which is more specific.`
  }
  if (lost.match.literalLength !== chosen.match.literalLength)
    return `Its globs have ${lost.match.literalLength} literal characters, those of ${winner} ${chosen.match.literalLength}.`
  if (lost.rule.effectiveFromMs !== chosen.rule.effectiveFromMs)
    return `It took effect at ${time(lost.rule.effectiveFromMs)}, before ${winner} at ${time(chosen.rule.effectiveFromMs)}.`
  return `It equals ${winner} in everything, and its id is older.`
}

const time = (ms: number): string => new Date(ms).toISOString()
const quoted = (text: string): string => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
