// The last days as a line of points: a day without calls is a point, too. Days begin at midnight of the chosen zone.
import type { Schemas } from '../api/types.ts'
import { currentZone } from './zone.ts'

const dayMs = 86_400_000

/** Midnight UTC of the calendar days that are shown, today's the last. */
function lastDays(days: number): readonly number[] {
  const today = new Intl.DateTimeFormat('en-CA', { timeZone: currentZone(), dateStyle: 'short' }).format()
  const last = Date.parse(`${today}T00:00:00Z`)
  return Array.from({ length: days }, (_, place) => last - (days - 1 - place) * dayMs)
}

/** Beginning of the first of the last `days` days, today among them. */
export function startOf(days: number): Date {
  const midnight = lastDays(days)[0] ?? 0
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: currentZone(),
    dateStyle: 'short',
    timeStyle: 'medium',
    hourCycle: 'h23',
  })
  // What the clocks of the zone say at that moment, read as if it were UTC, is off by what the zone is off.
  const shown = Date.parse(`${parts.format(midnight).replace(', ', 'T')}Z`)
  return new Date(midnight - (shown - midnight))
}

export function dailyCost(
  groups: readonly Schemas['UsageGroup'][],
  days: number,
): { at: number; value: number }[] {
  const costOf = new Map(groups.map(({ day, cost }) => [day, Number(cost)]))
  return lastDays(days).map((at) => ({ at, value: costOf.get(new Date(at).toISOString().slice(0, 10)) ?? 0 }))
}
