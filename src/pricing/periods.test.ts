// Guarantees of price periods: they begin at local midnight, also where clocks change, in any order and many zones.
import { describe, expect, test } from 'vitest'
import { Periods } from './periods.ts'
import type { PricePeriod } from './price.ts'

const startOf = (period: PricePeriod, zone: string, at: string, periods = new Periods()): string =>
  new Date(periods.startOf(period, zone, Date.parse(at))).toISOString()

describe('a period begins at midnight of the account’s zone', () => {
  test.each([
    ['day', 'UTC', '2026-11-23T23:59:59.999Z', '2026-11-23T00:00:00.000Z'],
    ['month', 'UTC', '2026-12-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z'],
    ['month', 'UTC', '2026-11-30T23:59:59.999Z', '2026-11-01T00:00:00.000Z'],
    ['month', 'UTC', '2028-02-29T12:00:00.000Z', '2028-02-01T00:00:00.000Z'],
    // 5:45 ahead of UTC, all year.
    ['day', 'Asia/Kathmandu', '2026-11-22T18:15:00.000Z', '2026-11-22T18:15:00.000Z'],
    ['day', 'Asia/Kathmandu', '2026-11-22T18:14:59.999Z', '2026-11-21T18:15:00.000Z'],
    // The day of 23 hours, and the one of 25.
    ['day', 'Europe/Berlin', '2026-03-29T21:59:59.999Z', '2026-03-28T23:00:00.000Z'],
    ['day', 'Europe/Berlin', '2026-03-29T22:00:00.000Z', '2026-03-29T22:00:00.000Z'],
    ['day', 'Europe/Berlin', '2026-10-25T22:59:59.999Z', '2026-10-24T22:00:00.000Z'],
    ['day', 'Europe/Berlin', '2026-10-25T23:00:00.000Z', '2026-10-25T23:00:00.000Z'],
    // Months that clocks change in begin and end at different distances from UTC.
    ['month', 'America/New_York', '2026-03-31T23:00:00.000Z', '2026-03-01T05:00:00.000Z'],
    ['month', 'America/New_York', '2026-04-01T04:00:00.000Z', '2026-04-01T04:00:00.000Z'],
    ['month', 'America/New_York', '2026-12-01T04:59:59.999Z', '2026-11-01T04:00:00.000Z'],
    // Clocks skip midnight: the day begins at one.
    ['day', 'America/Havana', '2026-03-08T12:00:00.000Z', '2026-03-08T05:00:00.000Z'],
  ] as const)('%s in %s at %s', (period, zone, at, expected) => {
    expect(startOf(period, zone, at)).toBe(expected)
  })
})

test('what is kept of one instant never answers for another', () => {
  const periods = new Periods()
  const hourMs = 3_600_000
  const first = Date.parse('2026-03-27T00:00:00Z')
  const hours = Array.from({ length: 24 * 5 }, (_, hour) => first + hour * hourMs)
  // Back and forth over the days around the change of the clocks.
  for (const at of hours.flatMap((own, index) => [own, hours.at(-index - 1) ?? own]))
    for (const period of ['day', 'month'] as const)
      for (const zone of ['Europe/Berlin', 'America/New_York', 'Pacific/Auckland'])
        expect(periods.startOf(period, zone, at)).toBe(new Periods().startOf(period, zone, at))
})

test('every instant of a year lies in exactly one day, and days follow each other without a gap', () => {
  const periods = new Periods()
  const [from, to] = [Date.parse('2026-01-01T12:00:00Z'), Date.parse('2027-01-01T12:00:00Z')]
  const lengths = new Map<number, number>()
  let last = periods.startOf('day', 'Europe/Berlin', from)
  for (let at = from; at < to; at += 1_800_000) {
    const start = periods.startOf('day', 'Europe/Berlin', at)
    if (start === last) continue
    expect(periods.startOf('day', 'Europe/Berlin', start - 1)).toBe(last)
    const hours = (start - last) / 3_600_000
    lengths.set(hours, (lengths.get(hours) ?? 0) + 1)
    last = start
  }
  expect(Object.fromEntries(lengths)).toEqual({ 23: 1, 24: 363, 25: 1 })
})
