// What is no call, what is too much, and what a shutdown does: each message is answered exactly once.
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { formatCallId } from '../base/id.ts'
import {
  closeStore,
  startCalls,
  testServer,
  toolCall,
  type Calls,
  type CallsOptions,
  settledOnce,
} from '../../test/harness/calls.ts'

let calls: Calls
const start = async (options: CallsOptions = {}): Promise<Calls> => (calls = await startCalls(options))
afterEach(() => calls.stop())
afterAll(closeStore)

describe('notifications and responses', () => {
  test('a notification is recorded and accepted', async () => {
    await start()
    calls.upstream.script = (up) => up.head({ status: 202, contentType: 'none' }).end()
    const reply = calls.ask({ method: 'notifications/x' })
    await settledOnce(calls, reply, { outcome: 'success', cost: 0n })
    expect(reply.acceptedAs).toBe(formatCallId(calls.settled[0]?.record.id ?? 0n))
  })

  test("a server's refusal of a notification comes in its own words", async () => {
    await start()
    const refusal = { jsonrpc: '2.0', id: null, error: { code: -32022, message: 'version' } }
    calls.upstream.script = (up) => up.json(refusal, { status: 400 })
    const reply = calls.ask({ method: 'notifications/x' })
    await settledOnce(calls, reply, { outcome: 'error', cost: 0n })
    expect([reply.answer?.status, reply.json]).toEqual([400, refusal])
  })

  test.each([401, 403, 502])('a server that answers %i to a notification is unavailable', async (status) => {
    await start()
    calls.upstream.script = (up) => up.json({ jsonrpc: '2.0', error: { code: 1, message: 'x' } }, { status })
    expect((await calls.ask({ method: 'notifications/x' }).done()).refusal?.code).toBe('upstream_unavailable')
  })

  test('a response belongs to a call and has no record of its own', async () => {
    await start()
    const session = await calls.connect()
    calls.upstream.script = (up) => up.head({ status: 202, contentType: 'none' }).end()
    const reply = await calls.ask({ id: 9, result: {} }, { session }).done()
    expect(reply.events).toEqual(['accepted'])
    expect(calls.settled).toEqual([])
  })
})

describe('limits and shutdown', () => {
  test('drain lets calls finish, refuses new ones, and answers those that hang', async () => {
    await start()
    const quick = calls.ask(toolCall(1))
    const hung = calls.ask(toolCall(2))
    const listening = calls.ask({ id: 3, method: 'subscriptions/listen' })
    const notice = calls.ask({ method: 'notifications/x' })
    const drained = calls.relay.drain(60)
    expect((await calls.ask(toolCall(4)).done()).json.result?.['structuredContent']).toMatchObject({
      code: 'shutting_down',
    })
    await listening.done()
    calls.upstream.of('tools/call')[0]?.succeed()
    await drained
    await Promise.all([quick.done(), hung.done(), notice.done()])
    expect(quick.json.result).toEqual({ content: [] })
    expect(hung.json).toMatchObject({ id: 2, result: { structuredContent: { code: 'shutting_down' } } })
    expect(listening.json).toMatchObject({ id: 3, error: { code: 50301 } })
    expect(notice.refusal?.code).toBe('shutting_down')
    expect([quick, hung, listening, notice].map((reply) => reply.answers)).toEqual([1, 1, 1, 1])
    await calls.writer.flush()
    expect(calls.held()).toBe(0n)
  })

  test('an open stream does not hold up the shutdown', async () => {
    await start()
    calls.ask({ id: 3, method: 'subscriptions/listen' })
    const began = performance.now()
    await calls.relay.drain(20_000)
    expect(performance.now() - began).toBeLessThan(1000)
  })

  test('more than the most in flight are refused, notifications too', async () => {
    await start({ maxInFlight: 2 })
    calls.ask(toolCall(1))
    calls.ask({ method: 'notifications/x' })
    expect((await calls.ask(toolCall(2)).done()).json.result?.['structuredContent']).toMatchObject({
      code: 'overloaded',
    })
    expect((await calls.ask({ method: 'notifications/y' }).done()).refusal?.code).toBe('overloaded')
    expect(calls.upstream.sent.length).toBe(2)
  })

  test('a revocation ends the open streams of its caller', async () => {
    await start()
    const listening = calls.ask({ id: 3, method: 'subscriptions/listen' })
    const ordinary = calls.ask(toolCall(1))
    calls.relay.endStreamsOf({ userId: 'usr_other' })
    expect(listening.answers).toBe(0)
    calls.relay.endStreamsOf({ userId: 'usr_alice' })
    await listening.done()
    expect(listening.json.error?.code).toBe(40100)
    expect(ordinary.answers).toBe(0)
  })

  test('an inactive server takes no call', async () => {
    await start()
    const server = { ...testServer, status: 'inactive' } as const
    const reply = await calls.ask(toolCall(1), { server }).done()
    expect(reply.json.result?.['structuredContent']).toMatchObject({ code: 'server_inactive' })
    expect(calls.upstream.sent).toEqual([])
  })

  test('a call that the gateway abandons answers with the reason', async () => {
    await start()
    const session = await calls.connect()
    const reply = calls.ask(toolCall(1), { session })
    session.findCall(1)?.abandon(new GatewayError('session_not_found'))
    await settledOnce(calls, reply, { outcome: 'unknown', cost: 0n, records: 2 })
    expect(reply.answer?.status).toBe(404)
  })
})

describe('a server in trouble', () => {
  const refused = { stage: 'connect', message: 'refused', sent: false } as const

  test('is left alone after five failures in a row; calls to it are answered at once, recorded and free', async () => {
    await start()
    calls.upstream.script = (up) => up.fail(refused)
    for (let id = 1; id <= 5; id++) await calls.ask(toolCall(id)).done()
    const reply = calls.ask(toolCall(6))
    await settledOnce(calls, reply, { outcome: 'error', cost: 0n, records: 6 })
    expect(calls.upstream.of('tools/call')).toHaveLength(5)
    expect(reply.answer).toMatchObject({ retryAfterS: 1 })
    expect(reply.json.result?.['structuredContent']).toMatchObject({ code: 'upstream_unavailable' })
  })

  test('is tried by one call after the pause, and serves all again when that is answered', async () => {
    const clock = new ManualClock(Date.now())
    await start({ clock })
    calls.upstream.script = (up) => up.fail(refused)
    for (let id = 1; id <= 5; id++) await calls.ask(toolCall(id)).done()
    calls.upstream.script = undefined
    clock.advance(1000)
    const probe = calls.ask(toolCall(6))
    const other = await calls.ask(toolCall(7)).done()
    expect(other.json.result?.['structuredContent']).toMatchObject({ code: 'upstream_unavailable' })
    calls.upstream.of('tools/call').at(-1)?.succeed()
    expect((await probe.done()).json.result?.['isError']).toBeUndefined()
    calls.upstream.script = (up) => up.succeed()
    expect((await calls.ask(toolCall(8)).done()).json.result?.['isError']).toBeUndefined()
  })
})
