// The linter of prices: what is wrong with a set of rules, found without a call.
import { setImmediate } from 'node:timers/promises'
import type { RuleHistory } from '../choice.ts'
import type { Finding } from './finding.ts'
import { findAmbiguous, findShadowed, type Steps } from './pairs.ts'
import { standingOf } from './standing.ts'
import { findUnpriced, type ToolsInput } from './tools.ts'

export interface LintInput {
  readonly histories: readonly RuleHistory[]
  /** From when on; what rules did before is past mending. */
  readonly nowMs: number
  /** Ids of rules: nothing is said about others among themselves. All rules where it is absent. */
  readonly about?: ReadonlySet<string>
  /** Without it nothing is said about tools. */
  readonly tools?: ToolsInput
}

export interface LintLimits {
  readonly maxFindings: number
  /** Steps of some thousand comparisons. */
  readonly maxSteps: number
}

export interface LintResult {
  /** Errors first. */
  readonly findings: readonly Finding[]
  /** Versions that were looked at. */
  readonly rules: number
  /** False where a limit ended the search: there may be more. */
  readonly complete: boolean
}

const defaultLimits: LintLimits = { maxFindings: 1000, maxSteps: 10_000 }

/** Lints at one go. Pure. What it cannot see: a rule that several others hide together. */
export function lint(input: LintInput, limits: Partial<LintLimits> = {}): LintResult {
  const run = lintSteps(input, { ...defaultLimits, ...limits })
  for (;;) {
    const step = run.next()
    if (step.done) return step.value
  }
}

/** The same with the event loop free between the steps, so that calls go on. Rejects when `signal` is aborted. */
export async function lintInTurns(
  input: LintInput,
  { signal, ...limits }: Partial<LintLimits> & { signal?: AbortSignal } = {},
): Promise<LintResult> {
  const run = lintSteps(input, { ...defaultLimits, ...limits })
  for (;;) {
    const step = run.next()
    if (step.done) return step.value
    await setImmediate()
    signal?.throwIfAborted()
  }
}

function* lintSteps(
  input: LintInput,
  { maxFindings, maxSteps }: LintLimits,
): Generator<undefined, LintResult> {
  const { histories, nowMs, about, tools } = input
  const all = standingOf(histories, nowMs)
  const findings: Finding[] = []
  const add = (finding: Finding): void => void findings.push(finding)
  const searches: Steps[] = [findAmbiguous({ all, about, add }), findShadowed({ all, about, add })]
  if (tools) searches.push(findUnpriced(all, { ...tools, nowMs }, add))
  let steps = 0
  const isSpent = (): boolean => findings.length > maxFindings || steps > maxSteps
  for (const search of searches)
    for (const _ of search) {
      steps++
      if (isSpent()) break
      yield
    }
  const rank = ({ severity }: Finding): number => (severity === 'error' ? 0 : 1)
  const sorted = findings.toSorted((a, b) => rank(a) - rank(b)).slice(0, maxFindings)
  return { findings: sorted, rules: all.length, complete: !isSpent() }
}
