// What a rule asks of a call: its globs compiled once, and how narrow they are.
import { builtInName } from '../base/built-in-name.ts'
import { compileGlob, globClass, type Glob, type GlobClass } from '../base/glob.ts'
import type { CallFacts, Match } from './price.ts'

/** The order in which specificity is compared: tool, server, method, principal (user, then account), transport. */
export const matchFields = ['tool', 'server', 'method', 'user', 'account', 'transport'] as const
export type MatchField = (typeof matchFields)[number]

export interface CompiledMatch {
  /** The globs that are there, in the order of `matchFields`. */
  readonly globs: readonly { readonly field: MatchField; readonly glob: Glob }[]
  /** The class of each field, in the order of `matchFields`; an absent field is *any*. */
  readonly classes: readonly GlobClass[]
  /** Literal characters of all globs together. */
  readonly literalLength: number
}

export function compileMatch(match: Match): CompiledMatch {
  const globs = matchFields.flatMap((field) => {
    const pattern = match[field]
    return pattern === undefined ? [] : [{ field, glob: compileGlob(pattern) }]
  })
  return {
    globs,
    classes: matchFields.map(
      (field) => globs.find((own) => own.field === field)?.glob.class ?? globClass.any,
    ),
    literalLength: globs.reduce((sum, own) => sum + own.glob.literalLength, 0),
  }
}

/**
 * The first field that the call does not satisfy, or undefined where all agree. A field that is named asks for a
 * value: `{"tool": "*"}` matches every call of a tool, and not `initialize`, which has none. The
 * built-in server is for asking what things cost, so no rule is for it.
 */
export function findMismatch(match: CompiledMatch, facts: CallFacts): MatchField | undefined {
  if (facts.server === builtInName) return 'server'
  for (const { field, glob } of match.globs) {
    const text = facts[field]
    if (text === undefined || !glob.matches(text)) return field
  }
  return undefined
}
