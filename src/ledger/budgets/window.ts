// Windows of budgets as buckets: which one a moment falls in, which of them count together, and when they end. Pure.
import { dayOf, monthOf, weekOf, type Period } from '../../base/zone.ts'
import type { BudgetWindow } from './budget.ts'

/** A rolling window leaves its past behind in this many slices. */
export const slicesPerWindow = 60

/**
 * A window's buckets, named by their first millisecond; a lifetime has one, 0. A calendar window's buckets stand alone.
 * Of a rolling window the bucket of a moment counts together with the 60 before it: these cover the window and up to
 * one slice more, so that a slice leaves only when it lies wholly outside.
 */
export interface Frame {
  bucketOf(atMs: number): number
  /** From one bucket of a rolling window to the next; undefined where each stands alone. */
  readonly sliceMs?: number
  /** When what was spent in a bucket no longer counts for new calls; undefined for a lifetime. */
  endOf(bucket: number): number | undefined
  /** Names the window for events: at most one event of a kind is raised for each. */
  labelOf(bucket: number): number
}

export function frameOf(window: BudgetWindow, timeZone: string): Frame {
  if (window === 'lifetime') return { bucketOf: () => 0, endOf: () => undefined, labelOf: () => 0 }
  return typeof window === 'object'
    ? rollingFrame(window.rollingSeconds * 1000)
    : calendarFrame(window, timeZone)
}

function rollingFrame(windowMs: number): Frame {
  const sliceMs = Math.ceil(windowMs / slicesPerWindow)
  return {
    sliceMs,
    bucketOf: (atMs) => Math.floor(atMs / sliceMs) * sliceMs,
    endOf: (bucket) => bucket + (slicesPerWindow + 1) * sliceMs,
    labelOf: (bucket) => Math.floor(bucket / windowMs) * windowMs,
  }
}

const periodOf = { day: dayOf, week: weekOf, month: monthOf } as const

function calendarFrame(window: keyof typeof periodOf, timeZone: string): Frame {
  let last: Period = { startMs: 0, endMs: 0 }
  const at = (timeMs: number): Period => {
    if (timeMs < last.startMs || timeMs >= last.endMs) last = periodOf[window](timeMs, timeZone)
    return last
  }
  return {
    bucketOf: (atMs) => at(atMs).startMs,
    endOf: (bucket) => at(bucket).endMs,
    labelOf: (bucket) => bucket,
  }
}
