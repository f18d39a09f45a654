// Guarantees of meters: nothing is counted twice or lost, what the store has wins, and old periods leave the memory.
import { describe, expect, test } from 'vitest'
import { Meters, meterRows, oldestPeriodMs, type MeterKey } from './meters.ts'

const dayMs = 86_400_000
const now = Date.parse('2026-11-23T00:00:00Z')
const key = (more: Partial<MeterKey> = {}): MeterKey => ({
  ruleId: 'rul_1',
  unit: 'call',
  subject: 'acc_1',
  periodMs: now,
  ...more,
})

describe('a meter', () => {
  test('is one for each rule, unit, subject and period', () => {
    const meters = new Meters()
    const first = meters.of(key())
    expect(meters.of(key())).toBe(first)
    const others = [{ ruleId: 'rul_2' }, { unit: 'kb' }, { subject: 'acc_2' }, { periodMs: now + dayMs }]
    for (const other of others) expect(meters.of(key(other))).not.toBe(first)
    expect(meters.size).toBe(5)
  })

  test('tells a count of nothing from no count: a fee is due with the first', () => {
    const meters = new Meters()
    const meter = meters.of(key())
    expect(meter.counted).toBeUndefined()
    meters.count(meter, 0n)
    expect(meter.counted).toBe(0n)
    meters.count(meter, 7n)
    expect(meters.of(key()).counted).toBe(7n)
  })
})

describe('what the store has wins', () => {
  test('a count that did not reach it is gone, and calls in flight go on from what it has', () => {
    const meters = new Meters()
    const [stored, lost] = [meters.of(key()), meters.of(key({ subject: 'acc_2' }))]
    meters.count(stored, 10n)
    meters.count(lost, 3n)
    stored.ahead = 4n
    meters.load([{ ...key(), quantity: 6n }])
    expect(meters.of(key())).toBe(stored)
    expect([stored.counted, stored.ahead]).toEqual([6n, 4n])
    expect(lost.counted).toBeUndefined()
  })

  test('quantities above 2^53 come back to the last unit', () => {
    const meters = new Meters()
    meters.load([{ ...key(), quantity: 2n ** 62n + 1n }])
    expect(meters.of(key()).counted).toBe(2n ** 62n + 1n)
  })
})

describe('memory', () => {
  test('stays bounded where two hundred subjects count every day for a year, and no live count is lost', () => {
    const meters = new Meters()
    let most = 0
    for (let day = 0; day < 365; day++)
      for (let subject = 0; subject < 200; subject++) {
        meters.count(meters.of(key({ subject: `ses_${subject}`, periodMs: now + day * dayMs })), 1n)
        most = Math.max(most, meters.size)
      }
    // Two of the longest periods are kept, and at most as much again until the next sweep.
    expect(most).toBeLessThanOrEqual(2 * 66 * 200)
    for (let subject = 0; subject < 200; subject++)
      for (const day of [364, 364 - 63])
        expect(meters.of(key({ subject: `ses_${subject}`, periodMs: now + day * dayMs })).counted).toBe(1n)
  })

  test('forgets a session that has ended, with all its periods, and nobody else', () => {
    const meters = new Meters()
    const running = meters.of(key({ subject: 'ses_1' }))
    meters.of(key({ subject: 'ses_1', periodMs: now + dayMs }))
    meters.of(key({ subject: 'ses_2' }))
    meters.forget('ses_1')
    meters.forget('ses_3')
    expect(meters.size).toBe(1)
    expect(meters.count(running, 2n)).toEqual({ meter: running.key, quantity: 2n })
    expect(meters.of(key({ subject: 'ses_1' })).counted).toBeUndefined()
  })

  test('keeps the meter of a call that is on its way, however old', () => {
    const meters = new Meters()
    const waiting = meters.of(key())
    waiting.ahead = 1n
    for (let day = 200; day < 210; day++)
      for (let subject = 0; subject < 200; subject++)
        meters.of(key({ subject: `ses_${subject}`, periodMs: now + day * dayMs }))
    expect(meters.of(key())).toBe(waiting)
  })

  test('loads no period that a call cannot fall into any more, and all that one can', () => {
    expect(now - oldestPeriodMs(now)).toBeGreaterThanOrEqual(31 * dayMs)
    expect(now - oldestPeriodMs(now)).toBeLessThanOrEqual(64 * dayMs)
  })
})

test('a batch writes one row for each meter, with the sum', () => {
  const meters = new Meters()
  const [one, two] = [meters.of(key()), meters.of(key({ subject: 'acc_2' }))]
  const rows = meterRows([meters.count(one, 5n), meters.count(two, 1n), meters.count(one, 2n)])
  expect(rows.map(({ values }) => values)).toEqual([
    ['rul_1', 'call', 'acc_1', now, 7n],
    ['rul_1', 'call', 'acc_2', now, 1n],
  ])
})
