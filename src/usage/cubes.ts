// Which sums are kept besides the rollups, and how a period is cut into stretches that each have one. Pure.
import type { RollupColumn } from './filter.ts'

/** A set of dimensions that sums are kept for; each is also told apart by currency. */
export interface Cube {
  readonly id: number
  readonly columns: readonly RollupColumn[]
  /** Lengths in quarter-hours for which it has sums, shortest first; each divides the next. */
  readonly spans: readonly number[]
}

export const hourSpan = 4
export const daySpan = 96
/** Hours, 6 hours, days, 8 days and 64 days of UTC. */
const spans = [hourSpan, 6 * hourSpan, daySpan, 8 * daySpan, 64 * daySpan]

/** Lengths of all stretches that marks are kept for, shortest first. */
export const markedSpans: readonly number[] = spans

/**
 * Smallest first. The last has every dimension, so it answers whatever the others cannot; an hour of it would hardly
 * be smaller than its rollups.
 */
export const cubes: readonly Cube[] = [
  // Days begin at quarters of an hour in some zones; that many rows are few.
  { id: 1, columns: ['outcome'], spans: [1, ...spans] },
  { id: 2, columns: ['server', 'outcome'], spans },
  { id: 3, columns: ['account'], spans },
  { id: 4, columns: ['server', 'method', 'tool'], spans },
  { id: 5, columns: ['account', 'caller', 'api_key'], spans },
  {
    id: 6,
    columns: ['account', 'caller', 'api_key', 'server', 'method', 'tool', 'outcome'],
    spans: spans.filter((span) => span >= daySpan),
  },
]

/** Columns that every cube has. */
export const commonColumns: readonly RollupColumn[] = ['currency']

/** The smallest cube that tells these columns apart. */
export function cubeFor(columns: Iterable<RollupColumn>): Cube {
  const needed = [...columns].filter((column) => !commonColumns.includes(column))
  const found = cubes.find((cube) => needed.every((column) => cube.columns.includes(column)))
  if (!found) throw new RangeError(`no cube has ${needed.join(', ')}`)
  return found
}

/** Some quarter-hours, from `first` up to, not including, `end`, read from sums of `span` each; 0: from the rollups. */
export interface Piece {
  readonly span: number
  readonly first: number
  readonly end: number
}

/** Stretches whose sums are out of date, by span. */
export class StaleSpans {
  readonly #stale: ReadonlySet<string>

  /** `marks` are stretches that were changed; what contains one is out of date as well. */
  constructor(marks: readonly { readonly span: number; readonly bucket: number }[]) {
    const stale = new Set<string>()
    for (const mark of marks)
      for (const span of spans) if (span >= mark.span) stale.add(`${span} ${startOf(mark.bucket, span)}`)
    this.#stale = stale
  }

  has(span: number, bucket: number): boolean {
    const marked = Math.max(span, hourSpan)
    return this.#stale.has(`${marked} ${startOf(bucket, marked)}`)
  }

  /** Whether any of these pieces reads sums that are out of date. */
  touches(pieces: readonly Piece[]): boolean {
    return pieces.some(({ span, first, end }) => {
      if (span === 0) return false
      for (let bucket = first; bucket < end; bucket += span) if (this.has(span, bucket)) return true
      return false
    })
  }
}

/** Start of the stretch of this length that a quarter-hour lies in. */
export const startOf = (bucket: number, span: number): number => bucket - (bucket % span)

/** Cuts a period into the longest stretches of the cube that are up to date, in order; neighbours of one length are joined. */
export function cutPeriod(
  { first, end }: { readonly first: number; readonly end: number },
  cube: Cube,
  stale: StaleSpans,
): Piece[] {
  const longestFirst = cube.spans.toReversed()
  const pieces: Piece[] = []
  for (let at = first; at < end;) {
    const span = longestFirst.find((each) => at % each === 0 && at + each <= end && !stale.has(each, at)) ?? 0
    const last = pieces.at(-1)
    const next = at + Math.max(1, span)
    if (last?.span === span) pieces[pieces.length - 1] = { ...last, end: next }
    else pieces.push({ span, first: at, end: next })
    at = next
  }
  return pieces
}
