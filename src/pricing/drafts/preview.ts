// Rules as they would be if drafts were published: for the linter and for simulations.
import { compileRule, type RuleHistory } from '../choice.ts'
import type { RuleVersion } from '../price.ts'
import type { RuleDraft } from './store.ts'

/**
 * The histories with a further version for each draft, as if it were published at `nowMs`; a new rule gets a history of
 * its own. Rules that are retired stay so.
 */
export function withDrafts(
  histories: readonly RuleHistory[],
  drafts: readonly RuleDraft[],
  { nowMs }: { nowMs: number },
): RuleHistory[] {
  const byRule = new Map(histories.map((history) => [history.ruleId, history]))
  for (const draft of drafts) {
    const known = byRule.get(draft.ruleId)
    const latest = known?.versions.at(-1)?.rule
    // As `nextVersion` does: without a time of its own it waits for the latest one.
    const fromMs = Math.max(nowMs, latest?.effectiveFromMs ?? nowMs)
    const compiled = compileRule(versionOf(draft, { version: (latest?.version ?? 0) + 1, fromMs, nowMs }))
    byRule.set(draft.ruleId, {
      ...known,
      ruleId: draft.ruleId,
      versions: [...(known?.versions ?? []), compiled],
      draft: draft.id,
    })
  }
  return [...byRule.values()]
}

function versionOf(draft: RuleDraft, when: { version: number; fromMs: number; nowMs: number }): RuleVersion {
  const { effectiveFrom, effectiveTo, ...rule } = draft.rule
  return {
    ...rule,
    ruleId: draft.ruleId,
    version: when.version,
    effectiveFromMs: effectiveFrom === undefined ? when.fromMs : Date.parse(effectiveFrom),
    ...(effectiveTo !== undefined && { effectiveToMs: Date.parse(effectiveTo) }),
    createdAtMs: when.nowMs,
  }
}
