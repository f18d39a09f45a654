// Calendar periods of prices, found quickly: the last one of each zone is kept.
import { dayOf, monthOf, type Period } from '../base/zone.ts'
import type { PricePeriod } from './price.ts'

const maxZones = 1000

export class Periods {
  readonly #known = new Map<string, Period>()

  /** When the period that an instant lies in began, in milliseconds; `zone` is an IANA name. */
  startOf(period: PricePeriod, zone: string, atMs: number): number {
    const name = `${period} ${zone}`
    const known = this.#known.get(name)
    if (known && atMs >= known.startMs && atMs < known.endMs) return known.startMs
    const found = (period === 'day' ? dayOf : monthOf)(atMs, zone)
    if (this.#known.size >= maxZones) this.#known.clear()
    this.#known.set(name, found)
    return found.startMs
  }
}
