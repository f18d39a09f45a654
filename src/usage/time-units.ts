// Local hours, days, weeks and months of any zone as stretches of quarter-hours. Pure.
import { offsetMs } from '../base/zone.ts'
import type { BucketRange } from './query-store.ts'
import { rollupMs } from './record.ts'

export const timeUnits = ['hour', 'day', 'week', 'month'] as const
export type TimeUnit = (typeof timeUnits)[number]

/** A stretch within one unit of each of the asked kinds, with their names. */
export interface TimeStretch extends BucketRange {
  readonly keys: Readonly<Partial<Record<TimeUnit, string>>>
}

const dayBuckets = 96
/** Clocks do not change twice within this time. */
const sampleBuckets = 48

/**
 * Cuts a period where a unit begins on the zone's clocks. Offsets are multiples of a quarter of an hour since 1972; an
 * hour or a day that clocks interrupt is cut there too, under the same name. Undefined where there are more than `max` stretches.
 */
export function cutByTime(
  { first, end }: BucketRange,
  options: { readonly units: readonly TimeUnit[]; readonly zone: string; readonly max: number },
): TimeStretch[] | undefined {
  const { units, zone, max } = options
  const found: TimeStretch[] = []
  for (const stretch of steadyStretches({ first, end }, zone)) {
    for (let at = stretch.first; at < stretch.end;) {
      const wall = at + stretch.offset
      const next = Math.min(...units.map((unit) => nextOf[unit](wall))) - stretch.offset
      const until = Math.min(next, stretch.end)
      const keys = Object.fromEntries(units.map((unit) => [unit, nameOf[unit](wall, stretch.offset)]))
      if (found.length >= max) return undefined
      found.push({ first: at, end: until, keys })
      at = until
    }
  }
  return found
}

interface Steady extends BucketRange {
  /** Quarter-hours that clocks are ahead of UTC. */
  readonly offset: number
}

/** Stretches in which the zone's clocks do not change. */
function steadyStretches({ first, end }: BucketRange, zone: string): Steady[] {
  const offsetOf = (bucket: number): number => Math.floor(offsetMs(bucket * rollupMs, zone) / rollupMs)
  const found: Steady[] = []
  for (let at = first; at < end;) {
    const offset = offsetOf(at)
    let same = at
    let next = Math.min(end, same + sampleBuckets)
    while (next < end && offsetOf(next) === offset) {
      same = next
      next = Math.min(end, same + sampleBuckets)
    }
    if (next < end || offsetOf(end - 1) !== offset) {
      // The first quarter-hour that has another offset lies in (same, next].
      let low = same
      let high = Math.min(next, end - 1)
      while (high - low > 1) {
        const middle = (low + high) >> 1
        if (offsetOf(middle) === offset) low = middle
        else high = middle
      }
      next = high
    }
    found.push({ first: at, end: next, offset })
    at = next
  }
  return found
}

const dateOf = (wall: number): Date => new Date(wall * rollupMs)
const floorTo = (wall: number, size: number, shift = 0): number =>
  Math.floor((wall - shift) / size) * size + shift
/** The epoch was a Thursday; weeks begin on Mondays. */
const mondayShift = 4 * dayBuckets
const weekBuckets = 7 * dayBuckets

/** Where the next unit begins; all in quarter-hours that clocks show. */
const nextOf: Readonly<Record<TimeUnit, (wall: number) => number>> = {
  hour: (wall) => floorTo(wall, 4) + 4,
  day: (wall) => floorTo(wall, dayBuckets) + dayBuckets,
  week: (wall) => floorTo(wall, weekBuckets, mondayShift) + weekBuckets,
  month: (wall) => {
    const date = dateOf(wall)
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1) / rollupMs
  },
}

const two = (value: number): string => String(value).padStart(2, '0')

/** "2026-10-25T02:00:00+01:00", "2026-10-25", the Monday of a week, "2026-10". */
const nameOf: Readonly<Record<TimeUnit, (wall: number, offset: number) => string>> = {
  hour: (wall, offset) => {
    const minutes = Math.abs(offset) * 15
    const sign = offset < 0 ? '-' : '+'
    return `${dateOf(wall).toISOString().slice(0, 13)}:00:00${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
  },
  day: (wall) => dateOf(wall).toISOString().slice(0, 10),
  week: (wall) =>
    dateOf(floorTo(wall, weekBuckets, mondayShift))
      .toISOString()
      .slice(0, 10),
  month: (wall) => dateOf(wall).toISOString().slice(0, 7),
}
