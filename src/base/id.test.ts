// Guarantees of identifiers: they sort by time, are never made twice, and are read back only when well formed.
import { expect, test } from 'vitest'
import { ManualClock } from './clock.ts'
import { CallIds, formatCallId, newId, parseCallId, randomToken } from './id.ts'

test('an id has its prefix and 26 characters of Crockford base 32', () => {
  expect(newId('rul')).toMatch(/^rul_[0-9a-hjkmnp-tv-z]{26}$/)
})

test('ids sort by the time they were made', () => {
  const times = [0, 1, 31, 32, 1023, Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 1) + 1, 2 ** 48 - 1]
  const ids = times.map((time) => newId('acc', time))
  expect(ids.toSorted()).toEqual(ids)
})

test('ids of one millisecond differ', () => {
  expect(new Set(Array.from({ length: 10_000 }, () => newId('ses', 1))).size).toBe(10_000)
})

test('a token is URL-safe, as long as asked, and never the same', () => {
  expect(randomToken(24)).toMatch(/^[\w-]{32}$/)
  expect(randomToken()).not.toBe(randomToken())
})

test('call ids only grow: within a millisecond, past its counter, and when the clock is set back', () => {
  const clock = new ManualClock()
  const ids = new CallIds(clock, { node: 3 })
  let last = 0n
  const grow = (): void => {
    const id = ids.next()
    expect(id > last).toBe(true)
    last = id
  }
  for (let i = 0; i < 40_000; i++) grow()
  clock.advance(1)
  grow()
  clock.set(clock.now() - 3_600_000)
  for (let i = 0; i < 100; i++) grow()
  clock.advance(7_200_000)
  grow()
  expect(CallIds.timeMs(last)).toBe(clock.now())
})

test('call ids of two nodes never meet', () => {
  const clock = new ManualClock()
  const [one, two] = [new CallIds(clock, { node: 1 }), new CallIds(clock, { node: 2 })]
  const made = new Set<bigint>()
  for (let i = 0; i < 40_000; i++) made.add(one.next()).add(two.next())
  expect(made.size).toBe(80_000)
})

test('call ids go on after the newest one in the store', () => {
  const clock = new ManualClock()
  const ahead = new CallIds(clock).next() + (1n << 40n)
  expect(new CallIds(clock, { last: ahead }).next()).toBe(ahead + 1n)
})

test('a call id tells the time it was made and lies within the range of that time', () => {
  const clock = new ManualClock()
  const id = new CallIds(clock, { node: 255 }).next()
  expect(CallIds.timeMs(id)).toBe(clock.now())
  expect(id >= CallIds.firstAt(clock.now()) && id < CallIds.firstAt(clock.now() + 1)).toBe(true)
})

test('a record id is read back as its number and sorts as it does', () => {
  const numbers = [0n, 1n, 31n, 32n, 2n ** 40n, 2n ** 63n - 1n]
  const texts = numbers.map(formatCallId)
  expect(texts.map(parseCallId)).toEqual(numbers)
  expect(texts.toSorted()).toEqual(texts)
})

test.each([
  '',
  'use_',
  'use_000000000000',
  'use_00000000000000',
  'use_000000000000u',
  'use_000000000000A',
  'rec_0000000000000',
  ' use_0000000000000',
  'use_zzzzzzzzzzzzz',
])('%j is no record id', (text) => {
  expect(parseCallId(text)).toBeUndefined()
})
