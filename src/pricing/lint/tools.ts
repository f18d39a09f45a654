// Findings about tools: those that no rule prices, for nobody, for some callers, or in some currency.
import { globClass } from '../../base/glob.ts'
import type { MatchField } from '../match.ts'
import type { Finding } from './finding.ts'
import { mention, type Standing } from './standing.ts'
import type { Steps } from './pairs.ts'

/** A registered server with the tools that it is known to have. */
export interface ServerTools {
  readonly server: string
  readonly tools: readonly string[]
}

export interface ToolsInput {
  readonly servers: readonly ServerTools[]
  /** In which accounts pay. */
  readonly currencies: readonly string[]
}

const toolsInStep = 20
const maxNamed = 10

/** Whether a field is asked of callers, which differ from call to call of one tool. */
const callerFields: ReadonlySet<MatchField> = new Set<MatchField>(['user', 'account', 'transport'])

/** Compares each tool with the rules that are in force at `nowMs`. */
export function* findUnpriced(
  all: readonly Standing[],
  { servers, currencies, nowMs }: ToolsInput & { readonly nowMs: number },
  add: (finding: Finding) => void,
): Steps {
  const inForce = all.filter(({ fromMs }) => fromMs <= nowMs)
  let looked = 0
  for (const { server, tools } of servers) {
    const groups = new Map<string, { readonly coverage: Coverage; readonly tools: string[] }>()
    for (const tool of tools) {
      if (++looked % toolsInStep === 0) yield
      const coverage = coverageOf(inForce, { server, tool }, currencies)
      const group = groups.get(coverage.name) ?? { coverage, tools: [] }
      group.tools.push(tool)
      groups.set(coverage.name, group)
    }
    for (const { coverage, tools: named } of groups.values()) {
      const finding = findingOf(coverage, { server, tools: named, isAll: named.length === tools.length })
      if (finding) add(finding)
    }
  }
}

interface Coverage {
  /** The same for tools of which the same can be said. */
  readonly name: string
  /** Rules that price the tool for some callers alone. */
  readonly partial: readonly Standing[]
  /** Currencies in which it is priced for everybody. */
  readonly priced: readonly string[]
  /** Currencies of accounts in which it is not. */
  readonly missing: readonly string[]
}

function coverageOf(
  inForce: readonly Standing[],
  { server, tool }: { server: string; tool: string },
  currencies: readonly string[],
): Coverage {
  const call: Partial<Record<MatchField, string>> = { server, tool, method: 'tools/call' }
  const pricing = inForce.filter(({ version: { match } }) =>
    match.globs.every(({ field, glob }) => callerFields.has(field) || glob.matches(call[field] ?? '')),
  )
  const isForAll = ({ version: { match, rule } }: Standing): boolean =>
    rule.book === undefined &&
    match.globs.every(({ field, glob }) => !callerFields.has(field) || glob.class === globClass.any)
  const full = new Set(pricing.filter(isForAll).map(({ version }) => version.rule.currency))
  const priced = [...full].toSorted()
  const missing = currencies.filter((currency) => !full.has(currency)).toSorted()
  const partial = pricing.filter((standing) => !isForAll(standing))
  const ids = partial.map(({ version }) => version.rule.ruleId)
  return { name: JSON.stringify([ids, priced, missing]), partial, priced, missing }
}

interface Named {
  readonly server: string
  readonly tools: readonly string[]
  readonly isAll: boolean
}

function findingOf({ partial, priced, missing }: Coverage, named: Named): Finding | undefined {
  if (missing.length === 0) return undefined
  const { server, tools } = named
  const about = { severity: 'warning' as const, server, tools }
  const what = subject(named)
  if (priced.length > 0) {
    const sentence = `${what} ${plural(tools)} priced in ${list(priced)} and not in ${list(missing)}, in which accounts pay; their calls are unpriced.`
    return { kind: 'mixed-currency', ...about, rules: partial.map(mention), sentence }
  }
  if (partial.length === 0)
    return { kind: 'unpriced', ...about, rules: [], sentence: `${what} ${plural(tools)} priced by no rule.` }
  const names = list(partial.slice(0, maxNamed).map(({ version }) => JSON.stringify(version.rule.name)))
  const sentence = `${what} ${plural(tools)} priced for some callers alone, by ${names}; calls of the others are unpriced.`
  return { kind: 'partly-unpriced', ...about, rules: partial.map(mention), sentence }
}

const plural = (tools: readonly string[]): string => (tools.length === 1 ? 'is' : 'are')

function subject({ server, tools, isAll }: Named): string {
  if (isAll && tools.length > 1) return `All ${tools.length} tools of ${JSON.stringify(server)}`
  const names = tools.slice(0, maxNamed).map((tool) => JSON.stringify(tool))
  const more = tools.length > maxNamed ? [`${tools.length - maxNamed} more`] : []
  return `${tools.length === 1 ? 'The tool' : 'The tools'} ${list([...names, ...more])} of ${JSON.stringify(server)}`
}

function list(items: readonly string[]): string {
  if (items.length < 2) return items.join('')
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}
