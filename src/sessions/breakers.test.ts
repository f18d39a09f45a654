// A server in trouble is left alone but for single tries, and comes back with its first answer.
import { beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { Breakers } from './breakers.ts'

const server = { id: 'srv_1', revision: 1, timeouts: { callMs: 60_000 } }
const other = { ...server, id: 'srv_2' }
const refused = { stage: 'connect', message: 'refused', sent: false } as const
let clock: ManualClock
let breakers: Breakers

beforeEach(() => {
  clock = new ManualClock()
  breakers = new Breakers({ clock, failuresToOpen: 3, firstPauseMs: 1000, maxPauseMs: 4000 })
})

const fail = (times: number) => {
  for (let time = 0; time < times; time++) breakers.failed(server, refused)
}

test('fewer failures than the limit hold nobody off, and an answer forgets them', () => {
  fail(2)
  expect(breakers.holdOffMs(server)).toBe(0)
  breakers.answered(server)
  fail(2)
  expect(breakers.holdOffMs(server)).toBe(0)
})

test('at the limit every call is held off, to this server alone', () => {
  fail(3)
  expect(breakers.holdOffMs(server)).toBe(1000)
  expect(breakers.holdOffMs(other)).toBe(0)
})

test('after the pause one call goes, and the others wait for what becomes of it', () => {
  fail(3)
  clock.advance(1000)
  expect(breakers.holdOffMs(server)).toBe(0)
  expect(breakers.holdOffMs(server)).toBe(60_000)
})

test('a failed try doubles the pause, up to the longest', () => {
  fail(3)
  const pauses = [2000, 4000, 4000].map(() => {
    clock.advance(breakers.holdOffMs(server))
    expect(breakers.holdOffMs(server)).toBe(0)
    fail(1)
    return breakers.holdOffMs(server)
  })
  expect(pauses).toEqual([2000, 4000, 4000])
})

test('a hundred calls that fail together are one failure more, not a hundred longer pauses', () => {
  fail(100)
  expect(breakers.holdOffMs(server)).toBe(1000)
})

test('an answer lets all calls through again, and so does a changed registration', () => {
  fail(3)
  expect(breakers.holdOffMs({ ...server, revision: 2 })).toBe(0)
  breakers.answered(server)
  expect(breakers.holdOffMs(server)).toBe(0)
  expect(breakers.size).toBe(0)
})

test('a try whose end nobody reports holds the others off no longer than a call may take', () => {
  fail(3)
  clock.advance(1000)
  breakers.holdOffMs(server)
  clock.advance(60_000)
  expect(breakers.holdOffMs(server)).toBe(0)
})

test('a refused credential, a huge answer and the end of one child say nothing of the health of a server', () => {
  for (let time = 0; time < 9; time++) {
    breakers.failed(server, { stage: 'handshake', message: 'HTTP 401', sent: true })
    breakers.failed(server, { stage: 'process', message: 'killed', sent: true, gone: true })
    breakers.failed(server, { stage: 'call', message: 'too large', sent: true, tooLarge: true })
  }
  expect(breakers.holdOffMs(server)).toBe(0)
})
