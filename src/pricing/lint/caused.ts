// What drafts would bring: findings that name a draft and that were not there without it.
import type { Finding } from './finding.ts'

/** Of `after`, what names a draft and has no counterpart of the same kind about the same rules in `before`. */
export function causedBy(after: readonly Finding[], before: readonly Finding[]): Finding[] {
  const known = new Set(before.map(nameOf))
  return after.filter(
    (finding) => finding.rules.some(({ draft }) => draft !== undefined) && !known.has(nameOf(finding)),
  )
}

const nameOf = ({ kind, severity, rules }: Finding): string =>
  JSON.stringify([kind, severity, rules.map(({ id }) => id).toSorted()])
