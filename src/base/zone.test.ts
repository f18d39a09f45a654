// Guarantees of calendar maths: days and months begin where the zone's clocks say, also where these change.
import { describe, expect, test } from 'vitest'
import { dayOf, isTimeZone, localDate, localHour, localTime, monthOf, offsetMs } from './zone.ts'

const at = (text: string): number => Date.parse(text)
const iso = (ms: number): string => new Date(ms).toISOString()

test.each(['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'America/New_York', 'Australia/Lord_Howe'])(
  '%s is a time zone',
  (zone) => expect(isTimeZone(zone)).toBe(true),
)

test.each(['', 'Mars/Olympus', '+01:00', 'Berlin', 'Europe/Berlin ', '../etc/passwd'])(
  '%j is no time zone',
  (zone) => expect(isTimeZone(zone)).toBe(false),
)

test('an instant has the date and hour that local clocks show', () => {
  expect(localTime(at('2026-01-31T23:30:00Z'), 'Europe/Berlin')).toEqual({
    year: 2026,
    month: 2,
    day: 1,
    hour: 0,
  })
  expect(localDate(at('2026-01-31T18:14:59Z'), 'Asia/Kathmandu')).toBe('2026-01-31')
  expect(localDate(at('2026-01-31T18:15:00Z'), 'Asia/Kathmandu')).toBe('2026-02-01')
  expect(localDate(at('2026-01-01T04:59:59.999Z'), 'America/New_York')).toBe('2025-12-31')
  expect(offsetMs(at('2026-07-01T00:00:00.123Z'), 'Asia/Kathmandu')).toBe((5 * 60 + 45) * 60_000)
})

test('the hour that clocks show twice is told apart by its offset', () => {
  const hours = ['2026-10-24T23:30:00Z', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'].map((text) =>
    localHour(at(text), 'Europe/Berlin'),
  )
  expect(hours).toEqual([
    '2026-10-25T01:00:00+02:00',
    '2026-10-25T02:00:00+02:00',
    '2026-10-25T02:00:00+01:00',
  ])
  expect(localHour(at('2026-01-01T00:10:00Z'), 'America/St_Johns')).toBe('2025-12-31T20:00:00-03:30')
})

describe('a day', () => {
  test.each([
    { zone: 'UTC', instant: '2026-03-29T12:00:00Z', start: '2026-03-29T00:00:00.000Z', hours: 24 },
    { zone: 'Europe/Berlin', instant: '2026-03-29T12:00:00Z', start: '2026-03-28T23:00:00.000Z', hours: 23 },
    { zone: 'Europe/Berlin', instant: '2026-10-25T12:00:00Z', start: '2026-10-24T22:00:00.000Z', hours: 25 },
    {
      zone: 'America/New_York',
      instant: '2026-11-01T05:30:00Z',
      start: '2026-11-01T04:00:00.000Z',
      hours: 25,
    },
    // Clocks jump from 00:00 to 01:00: the day begins at one o'clock.
    { zone: 'Africa/Cairo', instant: '2026-04-24T12:00:00Z', start: '2026-04-23T22:00:00.000Z', hours: 23 },
    // Clocks go back from 24:00 to 23:00: the day before shows 23 o'clock twice.
    { zone: 'Africa/Cairo', instant: '2026-10-29T21:30:00Z', start: '2026-10-28T21:00:00.000Z', hours: 25 },
    {
      zone: 'Australia/Lord_Howe',
      instant: '2026-10-04T12:00:00Z',
      start: '2026-10-03T13:30:00.000Z',
      hours: 23.5,
    },
  ])('of $zone around $instant has $hours hours', ({ zone, instant, start, hours }) => {
    const { startMs, endMs } = dayOf(at(instant), zone)
    expect(iso(startMs)).toBe(start)
    expect((endMs - startMs) / 3_600_000).toBe(hours)
  })

  test('follows the one before without a gap, for two years in zones that change their clocks', () => {
    for (const zone of [
      'Europe/Berlin',
      'America/New_York',
      'Africa/Cairo',
      'Australia/Lord_Howe',
      'Pacific/Apia',
    ]) {
      let { endMs } = dayOf(at('2025-06-15T12:00:00Z'), zone)
      for (let n = 0; n < 730; n++) {
        const next = dayOf(endMs, zone)
        expect(iso(next.startMs)).toBe(iso(endMs))
        expect(localDate(next.startMs, zone)).not.toBe(localDate(next.startMs - 1, zone))
        endMs = next.endMs
      }
    }
  })
})

describe('a month', () => {
  test.each([
    {
      zone: 'UTC',
      instant: '2026-01-31T23:59:59.999Z',
      start: '2026-01-01T00:00:00.000Z',
      end: '2026-02-01T00:00:00.000Z',
    },
    {
      zone: 'UTC',
      instant: '2028-02-29T12:00:00Z',
      start: '2028-02-01T00:00:00.000Z',
      end: '2028-03-01T00:00:00.000Z',
    },
    {
      zone: 'Europe/Berlin',
      instant: '2026-01-31T23:30:00Z',
      start: '2026-01-31T23:00:00.000Z',
      end: '2026-02-28T23:00:00.000Z',
    },
    {
      zone: 'Europe/Berlin',
      instant: '2026-03-10T00:00:00Z',
      start: '2026-02-28T23:00:00.000Z',
      end: '2026-03-31T22:00:00.000Z',
    },
    {
      zone: 'America/New_York',
      instant: '2027-01-01T04:59:59Z',
      start: '2026-12-01T05:00:00.000Z',
      end: '2027-01-01T05:00:00.000Z',
    },
    {
      zone: 'Pacific/Kiritimati',
      instant: '2026-12-31T10:00:00Z',
      start: '2026-12-31T10:00:00.000Z',
      end: '2027-01-31T10:00:00.000Z',
    },
  ])('of $zone around $instant', ({ zone, instant, start, end }) => {
    const { startMs, endMs } = monthOf(at(instant), zone)
    expect([iso(startMs), iso(endMs)]).toEqual([start, end])
  })
})
