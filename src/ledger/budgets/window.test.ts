// Windows begin and end where the zone's calendar says, also where clocks change, and slices leave when they are outside.
import { describe, expect, test } from 'vitest'
import { Count } from './count.ts'
import { frameOf, slicesPerWindow } from './window.ts'

const at = (text: string): number => Date.parse(text)
const iso = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString()

describe('a calendar window', () => {
  test.each([
    // Clocks in Berlin go back at 03:00 on 25 October: a day of 25 hours; and forward on 28 March: 23.
    ['day', 'Europe/Berlin', '2026-10-25T12:00Z', '2026-10-24T22:00Z to 2026-10-25T23:00Z'],
    ['day', 'Europe/Berlin', '2027-03-28T12:00Z', '2027-03-27T23:00Z to 2027-03-28T22:00Z'],
    ['day', 'Asia/Kathmandu', '2026-06-30T18:14Z', '2026-06-29T18:15Z to 2026-06-30T18:15Z'],
    ['week', 'UTC', '2026-11-22T23:59Z', '2026-11-16T00:00Z to 2026-11-23T00:00Z'],
    ['week', 'UTC', '2026-11-23T00:00Z', '2026-11-23T00:00Z to 2026-11-30T00:00Z'],
    ['week', 'Europe/Berlin', '2026-10-25T12:00Z', '2026-10-18T22:00Z to 2026-10-25T23:00Z'],
    ['week', 'America/New_York', '2027-01-01T00:00Z', '2026-12-28T05:00Z to 2027-01-04T05:00Z'],
    ['month', 'America/St_Johns', '2026-11-15T00:00Z', '2026-11-01T02:30Z to 2026-12-01T03:30Z'],
    ['month', 'UTC', '2028-02-29T23:00Z', '2028-02-01T00:00Z to 2028-03-01T00:00Z'],
  ] as const)('%s in %s with %s in it is from %s', (window, zone, moment, expected) => {
    const frame = frameOf(window, zone)
    const bucket = frame.bucketOf(at(moment))
    const endMs = frame.endOf(bucket) ?? 0
    const short = (ms: number) => iso(ms)?.replace(':00.000Z', 'Z')
    expect(`${short(bucket)} to ${short(endMs)}`).toBe(expected)
    expect([frame.bucketOf(endMs - 1), frame.bucketOf(endMs)]).toEqual([bucket, endMs])
  })

  test('counts a call in the window in which it arrived, however late it ends', () => {
    const count = new Count('', frameOf('day', 'UTC'))
    const before = count.cellAt(at('2026-11-22T23:59:59Z'))
    count.hold(before, 5n)
    const after = count.cellAt(at('2026-11-23T00:00:01Z'))
    expect(count.used(after)).toBe(0n)
    count.settle(before, 5n, 4n)
    expect([count.used(before), count.used(after)]).toEqual([4n, 0n])
  })
})

describe('a rolling window', () => {
  test.each([60, 3600, 100_000])(
    'of %i s loses a call only when all of its slice is outside',
    (rollingSeconds) => {
      const frame = frameOf({ rollingSeconds }, 'UTC')
      const sliceMs = frame.sliceMs ?? 0
      for (const offset of [0, 1, sliceMs - 1]) {
        const start = Math.ceil(at('2026-11-23T00:00:00Z') / sliceMs) * sliceMs + offset
        const count = new Count('', frame)
        count.add(count.cellAt(start), 7n)
        let leftMs = start
        while (count.figures(leftMs).spent > 0n) leftMs += Math.max(1, Math.floor(sliceMs / 7))
        expect(leftMs - start).toBeGreaterThanOrEqual(rollingSeconds * 1000)
        expect(leftMs - start).toBeLessThan(rollingSeconds * 1000 + 3 * sliceMs + slicesPerWindow)
        expect(count.freesAt(start, 7n)).toBe(frame.endOf(frame.bucketOf(start)))
      }
    },
  )

  test('says when enough of it is free again', () => {
    const frame = frameOf({ rollingSeconds: 600 }, 'UTC')
    const count = new Count('', frame)
    const start = at('2026-11-23T00:00:00Z')
    for (const [minute, amount] of [
      [0, 3n],
      [2, 4n],
      [5, 2n],
    ] as const)
      count.add(count.cellAt(start + minute * 60_000), amount)
    const now = start + 6 * 60_000
    const frees = (needed: bigint) => iso(count.freesAt(now, needed))
    expect(frees(3n)).toBe('2026-11-23T00:10:10.000Z')
    expect(frees(4n)).toBe('2026-11-23T00:12:10.000Z')
    expect(frees(9n)).toBe('2026-11-23T00:15:10.000Z')
    expect(frees(10n)).toBeUndefined()
  })
})
