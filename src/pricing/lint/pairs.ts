// Findings about two rules: those that tie, and those of which one is never chosen.
import { isDeepStrictEqual } from 'node:util'
import { globClass, type Glob } from '../../base/glob.ts'
import { commonText, includes } from '../../base/glob-sets.ts'
import { compareRules } from '../choice.ts'
import { matchFields, type CompiledMatch, type MatchField } from '../match.ts'
import type { Finding } from './finding.ts'
import { mention, type Standing } from './standing.ts'

/** Pairs are looked at in steps; at each the caller may do something else. */
export type Steps = Generator<undefined, void>

const pairsInStep = 2000

/** Rules stand against each other only where one call can meet both: in one book, in one currency. */
const shelfOf = ({ version: { rule } }: Standing): string => `${rule.book ?? ''} ${rule.currency}`

export interface PairSearch {
  readonly all: readonly Standing[]
  /** Ids of rules: pairs without one of them are left out. */
  readonly about?: ReadonlySet<string> | undefined
  readonly add: (finding: Finding) => void
}

const isAbout = (about: PairSearch['about'], { version }: Standing): boolean =>
  about === undefined || about.has(version.rule.ruleId)

/** Two rules that the order of choice parts by their age alone, and a call that both match. */
export function* findAmbiguous({ all, about, add }: PairSearch): Steps {
  let pairs = 0
  for (const tied of Map.groupBy(all, tieKey).values())
    for (const [at, one] of tied.entries())
      for (const other of tied.slice(at + 1)) {
        if (++pairs % pairsInStep === 0) yield
        if (one.version.rule.ruleId === other.version.rule.ruleId || !meets(one, other)) continue
        if (!isAbout(about, one) && !isAbout(about, other)) continue
        const call = commonCall(one.version.match, other.version.match)
        if (call) add(ambiguous([one, other], call))
      }
}

/** What the order compares before age. Exact names belong to it: rules that name different ones never meet. */
function tieKey(standing: Standing): string {
  const { rule, match } = standing.version
  const exact = match.globs.filter(({ glob }) => glob.class === globClass.exact)
  const names = exact.map(({ field, glob }) => [field, glob.pattern])
  return JSON.stringify([shelfOf(standing), rule.priority, match.classes, match.literalLength, names])
}

const meets = (a: Standing, b: Standing): boolean => a.fromMs < b.untilMs && b.fromMs < a.untilMs

type Call = Partial<Record<MatchField, string>>

/** What a call of both has in each field that one of them names, or undefined where no call matches both. */
function commonCall(a: CompiledMatch, b: CompiledMatch): Call | undefined {
  const call: Call = {}
  for (const field of matchFields) {
    const [one, other] = [globOf(a, field), globOf(b, field)]
    const some = one ?? other
    if (!some) continue
    const text = commonText(one ?? some, other ?? some)
    if (text === undefined) return undefined
    call[field] = text
  }
  return call
}

const globOf = (match: CompiledMatch, field: MatchField): Glob | undefined =>
  match.globs.find((own) => own.field === field)?.glob

function ambiguous(pair: readonly [Standing, Standing], call: Call): Finding {
  const [first, second] = pair.toSorted((a, b) => compareRules(a.version, b.version)) as [Standing, Standing]
  const same = chargesAlike(first, second)
  const fields = Object.entries(call).map(([field, text]) => `${field} ${quoted(text)}`)
  const example = fields.length === 0 ? 'every call' : `a call with the ${fields.join(', ')}`
  const effect = same
    ? 'They charge the same, so one of them can go.'
    : 'Give one of them a higher priority or narrow one of them.'
  return {
    kind: 'ambiguous',
    severity: same ? 'warning' : 'error',
    rules: [mention(first), mention(second)],
    sentence: `${nameOf(first)} and ${lower(nameOf(second))} both match ${example} and differ in nothing but their age; the newer one is chosen. ${effect}`,
  }
}

const chargesAlike = ({ version: { rule: a } }: Standing, { version: { rule: b } }: Standing): boolean =>
  isDeepStrictEqual(a.price, b.price) && isDeepStrictEqual(new Set(a.billOn), new Set(b.billOn))

/**
 * A rule that another one stands before whenever and for whatever it could be chosen. Sound, not complete: what several
 * rules hide together is not seen.
 */
export function* findShadowed({ all, about, add }: PairSearch): Steps {
  let pairs = 0
  for (const shelf of Map.groupBy(all, shelfOf).values()) {
    const before = new Before()
    for (const standing of shelf.toSorted((a, b) => compareRules(a.version, b.version))) {
      const candidates = before.of(standing)
      let cover: Standing | undefined
      for (const candidate of candidates) {
        if (++pairs % pairsInStep === 0) yield
        if (!isAbout(about, standing) && !isAbout(about, candidate)) continue
        cover = hides(candidate, standing) ? candidate : undefined
        if (cover) break
      }
      // What is hidden anyway is not hidden by the rules that this is about.
      const isOld =
        cover &&
        !isAbout(about, standing) &&
        candidates.some((other) => !isAbout(about, other) && hides(other, standing))
      if (cover && !isOld) add(shadowed(standing, cover))
      before.add(standing)
    }
  }
}

/** The versions that stand before the next one. A rule for one tool hides rules for that tool alone. */
class Before {
  readonly #wide: Standing[] = []
  readonly #byTool = new Map<string, Standing[]>()

  add(standing: Standing): void {
    const tool = exactTool(standing)
    if (tool === undefined) this.#wide.push(standing)
    else {
      const named = this.#byTool.get(tool)
      if (named) named.push(standing)
      else this.#byTool.set(tool, [standing])
    }
  }

  of(standing: Standing): readonly Standing[] {
    const tool = exactTool(standing)
    const named = tool === undefined ? undefined : this.#byTool.get(tool)
    return named ? [...named, ...this.#wide] : this.#wide
  }
}

function exactTool({ version }: Standing): string | undefined {
  const tool = globOf(version.match, 'tool')
  return tool?.class === globClass.exact ? tool.pattern : undefined
}

/** Whether the first, which stands before the second, matches all that the second does, all the time. */
function hides(first: Standing, second: Standing): boolean {
  if (first.version.rule.ruleId === second.version.rule.ruleId) return false
  if (first.fromMs > second.fromMs || first.untilMs < second.untilMs) return false
  return first.version.match.globs.every(({ field, glob }) => {
    // A field that is not named matches anything; only a tool can be absent altogether.
    if (field !== 'tool' && glob.class === globClass.any) return true
    const inner = globOf(second.version.match, field)
    return inner !== undefined && includes(glob, inner)
  })
}

function shadowed(hidden: Standing, cover: Standing): Finding {
  return {
    kind: 'shadowed',
    severity: 'error',
    rules: [mention(hidden), mention(cover)],
    sentence: `${nameOf(hidden)} is never chosen, since ${lower(nameOf(cover))} stands before it and matches all that it matches.`,
  }
}

const nameOf = ({ version: { rule }, draft }: Standing): string =>
  `${draft === undefined ? 'The rule' : 'The draft'} ${quoted(rule.name)}`

const lower = (text: string): string => `${text.charAt(0).toLowerCase()}${text.slice(1)}`
const quoted = (text: string): string => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
