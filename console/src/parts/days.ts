// The last days as a line of points: a day without calls is a point, too.
import type { Schemas } from '../api/types.ts'

const dayMs = 86_400_000

/** Beginning of the first of the last `days` days, today among them. */
export const startOf = (days: number): Date => new Date((Math.floor(Date.now() / dayMs) - days + 1) * dayMs)

export function dailyCost(
  groups: readonly Schemas['UsageGroup'][],
  days: number,
): { at: number; value: number }[] {
  const from = startOf(days).getTime()
  const costOf = new Map(groups.map(({ day, cost }) => [day, Number(cost)]))
  return Array.from({ length: days }, (_, place) => {
    const at = from + place * dayMs
    return { at, value: costOf.get(new Date(at).toISOString().slice(0, 10)) ?? 0 }
  })
}
