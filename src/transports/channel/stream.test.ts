// A standing stream that nobody pays for any more: left alone, and tried again only while its client is there.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { GatewayError } from '../../base/errors.ts'
import type { Reply } from '../../sessions/reply.ts'
import { ChannelStream } from './stream.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function standing() {
  const opened: Reply[] = []
  let finished = 0
  const stream = new ChannelStream({
    open: (reply) => opened.push(reply),
    send: () => true,
    onDrain: () => {},
    wanted: () => true,
    finished: () => finished++,
  })
  stream.start()
  return { stream, opened, finished: () => finished }
}
const exhausted = () => new GatewayError('balance_exhausted')

test('without a word from its client it is not opened again', () => {
  const { opened } = standing()
  opened[0]?.refuse(exhausted())
  vi.advanceTimersByTime(3_600_000)
  expect(opened.length).toBe(1)
})

test('a client that sends something has it tried again, twice a minute at most', () => {
  const { stream, opened, finished } = standing()
  opened[0]?.refuse(exhausted())
  for (let second = 0; second < 60; second++) {
    stream.nudge()
    opened[1]?.refuse(exhausted())
    vi.advanceTimersByTime(1000)
  }
  expect(opened.length).toBe(2)
  stream.nudge()
  opened[2]?.message({ message: undefined, bytes: new Uint8Array() })
  for (let n = 0; n < 5; n++) stream.nudge()
  expect([opened.length, finished()]).toEqual([3, 0])
})

test('one that its server does not have stays away', () => {
  const { stream, opened, finished } = standing()
  opened[0]?.refuse(new GatewayError('method_not_allowed'))
  vi.advanceTimersByTime(3_600_000)
  stream.nudge()
  expect([opened.length, finished()]).toEqual([1, 1])
})
