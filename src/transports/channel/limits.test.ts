// The bounds of a channel: what a client may send and how much of it at once, and a client that reads slowly.
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeStore, startCalls, type Calls, type FakeExchange } from '../../../test/harness/calls.ts'
import { until } from '../../../test/harness/until.ts'
import { legacyCall, modernCall, openChannel } from '../../../test/harness/channel.ts'

let calls: Calls
let version: string
/** Calls wait until the test answers them. */
let held: FakeExchange[]
beforeEach(async () => {
  calls = await startCalls()
  version = '2025-11-25'
  held = []
  calls.upstream.script = (up, message) => {
    if (message.method === 'initialize') up.succeed({ protocolVersion: version }, { sessionId: 'up-1' })
    else if (message.id === undefined || message.method === undefined)
      up.head({ status: 202, contentType: 'none' }).end()
    else held.push(up)
  }
})
afterEach(() => calls.stop())
afterAll(closeStore)

const heldCall = async (count = 1): Promise<FakeExchange> => {
  await until(() => held.length >= count, 'the call')
  return held[count - 1] as FakeExchange
}
const ping = (id: unknown) => ({ jsonrpc: '2.0', id, method: 'ping' })

describe('what a client may send', () => {
  test('is one message; anything else is told back, and nothing is sent', () => {
    const { say } = openChannel(calls)
    expect([say('{'), say('[]'), say('{"id":1}'), say('nothing'), say(modernCall({}))]).toEqual([
      'parse_error',
      'invalid_request',
      'invalid_request',
      'parse_error',
      'invalid_request',
    ])
    expect(calls.upstream.sent.length).toBe(0)
  })

  test('an id is in flight once: the second is refused, the first is answered, then it is free again', async () => {
    const { line, say } = openChannel(calls)
    say(modernCall(1))
    say(modernCall(1))
    expect((await line.answer(1)).error.code).toBe(-32600)
    ;(await heldCall()).succeed({ first: true })
    await until(() => line.sent.length === 2, 'the answer')
    expect(line.sent[1].result).toEqual({ first: true })
    say(modernCall(1))
    ;(await heldCall(2)).succeed({ again: true })
    await until(() => line.sent.length === 3, 'the next answer')
  })

  test('requests beyond the bound are refused, and free again when others are done', async () => {
    await calls.stop()
    calls = await startCalls({ maxInFlight: 5000 })
    calls.upstream.script = (up) => held.push(up)
    const { line, say } = openChannel(calls)
    for (let id = 0; id < 1024; id++) say(modernCall(id))
    await heldCall(1024)
    say(modernCall('more'))
    expect((await line.answer('more')).error.data).toEqual({ code: 'overloaded', retryAfterS: 1 })
    held[0]?.succeed()
    await line.answer(0)
    say(modernCall('again'))
    await heldCall(1025)
    line.leave()
    await until(() => calls.relay.inFlight === 0, 'the end')
  })

  test('bodies beyond the bound are refused, or stop the reading', async () => {
    const { line, initialize, say } = openChannel(calls, { options: { maxBodyBytes: 450 } })
    await initialize()
    const big = { arguments: { text: 'x'.repeat(400) } }
    for (let id = 1; id <= 5; id++) say(legacyCall(id, big))
    await heldCall(4)
    const refused = line.sent.filter(({ error }) => error)
    expect(refused.map(({ error }) => error.data.code)).toEqual(['overloaded'])
    expect(refused[0].error.data.retryAfterS).toBe(1)
    const { script } = calls.upstream
    calls.upstream.script = (up) => held.push(up)
    for (let count = 0; count < 5; count++)
      say({ jsonrpc: '2.0', method: 'notifications/x', params: { text: 'x'.repeat(400) } })
    expect(line.paused).toBe(true)
    await heldCall(9)
    for (const up of held) {
      if (up.request?.message.id === undefined) up.head({ status: 202, contentType: 'none' }).end()
      else up.succeed()
    }
    await until(() => !line.paused, 'reading again')
    calls.upstream.script = script
  })

  test('a batch is answered by one array, in its revision only', async () => {
    version = '2025-03-26'
    const { line, initialize, say } = openChannel(calls)
    await initialize()
    const note = { jsonrpc: '2.0', method: 'notifications/x' }
    expect(say([ping(1), note, ping(2)])).toBeUndefined()
    ;(await heldCall(2)).succeed({ second: true })
    ;(await heldCall(1)).succeed({ first: true })
    await until(() => line.sent.length === 2, 'the answers')
    expect(line.sent[1].map(({ id }: { id: number }) => id)).toEqual([2, 1])
    version = '2025-06-18'
    const later = openChannel(calls)
    await later.initialize()
    expect(later.say([ping(1)])).toBe('invalid_request')
  })
})

describe('a client that reads slowly', () => {
  test('slows its server down, until it has caught up', async () => {
    const { line, say } = openChannel(calls)
    say(modernCall(1))
    const up = await heldCall()
    line.slow = true
    up.head({ contentType: 'event-stream' }).event({ jsonrpc: '2.0', method: 'notifications/progress' })
    expect(up.paused).toBe(true)
    line.drain()
    expect(up.paused).toBe(false)
    up.event({ jsonrpc: '2.0', id: 1, result: {} }).end()
    await line.answer(1)
  })

  test('and lets too much wait is cut off, and its calls with it', async () => {
    const { line, say, ended } = openChannel(calls)
    say(modernCall(1))
    say(modernCall(2))
    const up = await heldCall(2)
    line.waitingBytes = 17 * 1024 * 1024
    up.succeed({})
    await until(() => line.closed === 'terminated', 'the end')
    expect([ended(), line.sent]).toEqual([1, []])
    await until(() => calls.relay.inFlight === 0, 'nothing in flight')
  })

  test('that leaves lets a paused server go on', async () => {
    const { line, initialize, say } = openChannel(calls)
    await initialize()
    say(legacyCall(1))
    const up = await heldCall()
    line.slow = true
    up.head({ contentType: 'event-stream' }).event({ jsonrpc: '2.0', method: 'notifications/progress' })
    expect(up.paused).toBe(true)
    line.leave()
    expect(up.paused).toBe(false)
    up.event({ jsonrpc: '2.0', id: 1, result: {} }).end()
    await until(() => calls.sessions.count === 0, 'the end')
  })
})
