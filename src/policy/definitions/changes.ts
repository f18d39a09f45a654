// What differs between two definitions, place by place.
import { isObject } from '../../base/is-object.ts'

export interface Change {
  /** JSON pointer. */
  readonly at: string
  /** Absent where it was added. */
  readonly before?: unknown
  /** Absent where it was removed. */
  readonly after?: unknown
}

/** At most `most` changes of what JSON can hold; members of objects one by one, anything else as a whole. */
export function changesBetween(before: unknown, after: unknown, most = 100): Change[] {
  const changes: Change[] = []
  compare(before, after, '', (change) => {
    if (changes.length < most) changes.push(change)
  })
  return changes
}

function compare(before: unknown, after: unknown, at: string, tell: (change: Change) => void): void {
  if (!isObject(before) || !isObject(after)) {
    if (JSON.stringify(before) === JSON.stringify(after)) return
    return tell({ at, ...(before !== undefined && { before }), ...(after !== undefined && { after }) })
  }
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
    compare(
      own(before, key),
      own(after, key),
      `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      tell,
    )
}

const own = (object: Record<string, unknown>, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : undefined
