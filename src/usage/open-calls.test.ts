// What a reader of records may pass, while calls end in any order.
import { expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { CallIds } from '../base/id.ts'
import { OpenCalls } from './open-calls.ts'

function start() {
  const clock = new ManualClock()
  return { clock, calls: new OpenCalls(new CallIds(clock), clock) }
}
const strict = { afterMs: Infinity, max: 0 }

test('the bound is the oldest call that has not ended, and lies behind the newest id where all have', () => {
  const { calls } = start()
  const [first, second, third] = [calls.open(), calls.open(), calls.open()]
  calls.close(second)
  expect(calls.view(strict)).toEqual({ bound: first.id, passed: [] })
  calls.close(first)
  expect(calls.view(strict)).toEqual({ bound: third.id, passed: [] })
  calls.close(third)
  expect(calls.view(strict).bound).toBe(third.id + 1n)
  expect(calls.open().id).toBeGreaterThanOrEqual(third.id + 1n)
})

test('a long call is passed by name, a young one never', () => {
  const { clock, calls } = start()
  const long = calls.open()
  clock.advance(5000)
  const young = calls.open()
  expect(calls.view({ afterMs: 2000, max: 10 })).toEqual({ bound: young.id, passed: [long.id] })
  expect(calls.view({ afterMs: 2000, max: 0 })).toEqual({ bound: long.id, passed: [] })
})

test('a call whose commit failed stays open until the failure is beyond doubt', () => {
  const { clock, calls } = start()
  const call = calls.open()
  const { id } = call
  calls.doubt(call)
  expect(calls.openOf([id])).toEqual(new Set([id]))
  clock.advance(60_000)
  expect(calls.openOf([id])).toEqual(new Set())
  expect(calls.view(strict).bound).toBe(id + 1n)
})
