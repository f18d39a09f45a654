// One version of a rule, made out of what a caller sends: the first of a new rule, or the one after another.
import { GatewayError } from '../base/errors.ts'
import type { RuleVersion } from './price.ts'
import type { RuleInput, RulePatch } from './rule-input.ts'

/** When a version is made, and by whom. */
export interface Making {
  readonly nowMs: number
  readonly by: string | undefined
}

/** Without `effectiveFrom` it takes effect at once. Throws `validation_failed` where it ends before it begins. */
export function firstVersion(input: RuleInput, made: Making & { readonly ruleId: string }): RuleVersion {
  const { effectiveFrom, effectiveTo, ...rest } = input
  const { ruleId, nowMs } = made
  const effectiveFromMs = effectiveFrom === undefined ? nowMs : Date.parse(effectiveFrom)
  const effectiveToMs = effectiveTo === undefined ? undefined : Date.parse(effectiveTo)
  return { ...rest, ruleId, version: 1, ...span(effectiveFromMs, effectiveToMs), ...stamp(made) }
}

/** The latest version with the members of a patch in place of its own; see `rulePatch`. */
export function nextVersion(latest: RuleVersion, patch: RulePatch, made: Making): RuleVersion {
  const { effectiveFrom, effectiveTo, book: newBook, ...changes } = patch
  const { effectiveToMs: oldEndMs, createdBy: _by, book: oldBook, ...base } = latest
  const startMs =
    effectiveFrom === undefined ? Math.max(made.nowMs, base.effectiveFromMs) : Date.parse(effectiveFrom)
  const endMs =
    effectiveTo === undefined ? oldEndMs : effectiveTo === null ? undefined : Date.parse(effectiveTo)
  const book = newBook === undefined ? oldBook : (newBook ?? undefined)
  const where = book === undefined ? {} : { book }
  return { ...base, ...changes, ...where, version: base.version + 1, ...span(startMs, endMs), ...stamp(made) }
}

const stamp = ({ nowMs, by }: Making): Pick<RuleVersion, 'createdAtMs' | 'createdBy'> => ({
  createdAtMs: nowMs,
  ...(by !== undefined && { createdBy: by }),
})

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
