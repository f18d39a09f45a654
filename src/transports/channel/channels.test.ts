// All channels together: how many there may be, and when each is over.
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { alice, closeStore, startCalls, testServer, type Calls } from '../../../test/harness/calls.ts'
import { until } from '../../../test/harness/until.ts'
import { openChannel, type Given } from '../../../test/harness/channel.ts'
import { ManualClock } from '../../base/clock.ts'
import { Channels } from './channels.ts'

let calls: Calls
let clock: ManualClock
let channels: Channels
beforeEach(async () => {
  calls = await startCalls()
  clock = new ManualClock()
  const limits = { maxPerPrincipal: 3, maxTotal: 4, idleMs: 60_000, absoluteMs: 600_000 }
  channels = new Channels({ clock, limits, stallMs: 5000 })
})
afterEach(() => calls.stop())
afterAll(closeStore)

const bob = { ...alice, userId: 'usr_bob', keyId: 'key_bob' }

function open(given: Given = {}) {
  const opened = openChannel(calls, { clock, ...given })
  channels.add(opened.channel, 1000)
  return opened
}
const pass = (ms: number): void => {
  clock.advance(ms)
  channels.sweep()
}

test('are capped for each user and in all, and an ended one makes room', () => {
  const first = open()
  open()
  expect(channels.fault(alice)).toBeUndefined()
  open()
  expect(channels.fault(alice)?.code).toBe('too_many_sessions')
  expect(channels.fault(bob)).toBeUndefined()
  open({ target: { principal: bob } })
  expect(channels.fault(bob)?.code).toBe('too_many_sessions')
  channels.remove(first.channel)
  channels.remove(first.channel)
  expect([channels.count, channels.fault(alice), channels.fault(bob)]).toEqual([3, undefined, undefined])
})

describe('a channel is closed', () => {
  test('when its credential is revoked, and only then', () => {
    const [own, other] = [open(), open({ target: { principal: bob } })]
    channels.closeWhere(({ userId }) => userId === 'usr_bob')
    expect([own.line.closed, other.line.closed, other.ended()]).toEqual([undefined, 'credential', 1])
  })

  test('when its credential expires', () => {
    const { line } = open({ target: { principal: { ...alice, expiresAtMs: clock.now() + 2000 } } })
    pass(1999)
    expect(line.closed).toBeUndefined()
    pass(1)
    expect(line.closed).toBe('credential')
  })

  test('when its session has ended', async () => {
    const session = await calls.open(testServer)
    const { line } = open({ target: { session } })
    pass(0)
    expect(line.closed).toBeUndefined()
    await calls.sessions.close(session)
    pass(0)
    expect(line.closed).toBe('session')
  })

  test('when nobody has used it for too long, but not while a call or a session is open', async () => {
    calls.upstream.script = (up, { method }) => {
      if (method === 'initialize') up.succeed({ protocolVersion: '2025-11-25' })
    }
    const [idle, inSession] = [open(), open()]
    await inSession.initialize()
    pass(59_999)
    expect(idle.line.closed).toBeUndefined()
    pass(1)
    expect([idle.line.closed, inSession.line.closed]).toEqual(['idle', undefined])
    pass(600_000)
    expect(inSession.line.closed).toBe('age')
  })

  test('when it does not answer, or does not read what waits for it', () => {
    const [silent, slow, slower] = [open(), open(), open()]
    silent.line.alive = false
    slow.line.slow = slower.line.slow = true
    slow.channel.send(Buffer.from('{}'))
    slower.channel.send(Buffer.from('{}'))
    pass(1000)
    expect([silent.line.closed, slow.line.closed]).toEqual(['terminated', undefined])
    pass(3999)
    slow.line.drain()
    pass(1)
    expect([slow.line.closed, slower.line.closed]).toEqual([undefined, 'terminated'])
  })

  test('when the gateway stops, and none is opened any more', async () => {
    const { line, ended } = open()
    channels.start()
    channels.stop()
    expect([line.closed, ended(), channels.fault(bob)?.code]).toEqual(['shutdown', 1, 'shutting_down'])
    await until(() => calls.sessions.count === 0, 'no session')
  })
})

test('an open channel gets a sign of life at its own interval', () => {
  const { line } = open()
  for (let second = 0; second < 5; second++) pass(500)
  expect(line.signs).toBe(2)
})
