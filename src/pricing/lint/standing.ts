// Versions as the linter sees them: those that still price calls, each with the time in which it is in force.
import type { CompiledRule, RuleHistory } from '../choice.ts'
import type { RuleMention } from './finding.ts'

/** A version that applies to calls from `fromMs` on and before `untilMs`; the past is cut off. */
export interface Standing {
  readonly version: CompiledRule
  readonly fromMs: number
  readonly untilMs: number
  readonly draft?: string
}

/** Every version that prices calls now or later; what was replaced, has ended, is retired or not active is left out. */
export function standingOf(histories: readonly RuleHistory[], nowMs: number): Standing[] {
  return histories.flatMap((history) =>
    history.versions.flatMap((version): Standing[] => {
      const { rule } = version
      const later = history.versions.filter((other) => other.rule.version > rule.version)
      const ends = [
        rule.effectiveToMs,
        history.retiredAtMs,
        ...later.map((other) => other.rule.effectiveFromMs),
      ]
      const fromMs = Math.max(rule.effectiveFromMs, nowMs)
      const untilMs = Math.min(Infinity, ...ends.filter((end) => end !== undefined))
      if (!rule.active || fromMs >= untilMs) return []
      const isDraft = history.draft !== undefined && later.length === 0
      return [{ version, fromMs, untilMs, ...(isDraft && { draft: history.draft }) }]
    }),
  )
}

export const mention = ({ version: { rule }, draft }: Standing): RuleMention => ({
  id: rule.ruleId,
  version: rule.version,
  name: rule.name,
  ...(draft !== undefined && { draft }),
})
