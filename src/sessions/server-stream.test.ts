// The stream of a session: forwarded as it comes, recorded once, and never a way around a call's price.
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { formatCallId } from '../base/id.ts'
import { closeStore, startCalls, toolCall, type Calls, type CallsOptions } from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'

let calls: Calls
const start = async (options: CallsOptions = {}): Promise<Calls> => (calls = await startCalls(options))
afterEach(() => calls.stop())
afterAll(closeStore)

const unit = 10n ** 9n
const result = (id: unknown) => ({ jsonrpc: '2.0', id, result: { content: [] } })
const eventStream = { contentType: 'event-stream' } as const

describe('the stream of a session', () => {
  const note = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' }

  test('is forwarded as it comes and recorded once when it ends', async () => {
    await start()
    const session = await calls.connect()
    const reply = calls.stream(session, { 'last-event-id': '7' })
    const [up] = calls.upstream.streams
    expect(up?.headers).toMatchObject({ 'mcp-session-id': 'up-1', 'last-event-id': '7' })
    up?.head(eventStream).event(note, '8').end()
    await reply.done()
    expect(reply.messages).toEqual([`id: 8\ndata: ${JSON.stringify(note)}\n\n`])
    expect(reply.events).toEqual(['end'])
    await calls.writer.flush()
    expect(calls.settled.map(({ record }) => [record.method, record.outcome])).toEqual([
      ['stream', 'success'],
    ])
    expect(session.streams.size).toBe(0)
  })

  test.each([
    [405, 'method_not_allowed'],
    [404, 'session_not_found'],
    [409, 'stream_conflict'],
    [401, 'upstream_unavailable'],
    [500, 'upstream_unavailable'],
  ])('a server that answers %i makes it %s', async (status, code) => {
    await start()
    const reply = calls.stream(await calls.connect())
    calls.upstream.streams[0]?.head({ status, contentType: 'none' })
    expect((await reply.done()).refusal?.code).toBe(code)
    expect(reply.refusedAs).toBe(formatCallId(calls.settled[0]?.record.id ?? 0n))
    expect(calls.upstream.streams[0]?.aborted).toBe(true)
  })

  test('names no record where its refusal could not be recorded', async () => {
    await start()
    const reply = calls.stream(await calls.connect())
    calls.fault.commit = true
    calls.upstream.streams[0]?.head({ status: 405, contentType: 'none' })
    expect([(await reply.done()).refusal?.code, reply.refusedAs]).toEqual(['store_unavailable', undefined])
  })

  test('ends with its client, and the server is let go', async () => {
    await start()
    const session = await calls.connect()
    const reply = calls.stream(session)
    reply.leave()
    await until(() => calls.settled.length === 1, 'the record')
    expect(calls.upstream.streams[0]?.aborted).toBe(true)
    expect(session.streams.size).toBe(0)
  })

  test('is cut when the balance no longer covers it', async () => {
    await start({ mode: 'prepaid', credit: '8' })
    await calls.rules.create({
      name: 's',
      currency: 'USD',
      match: { method: 'stream' },
      price: { perKb: '1' },
    })
    const reply = calls.stream(await calls.connect())
    const [up] = calls.upstream.streams
    up?.head(eventStream)
    for (let i = 0; i < 10; i++) up?.event({ ...note, params: { text: 'x'.repeat(2000) } })
    await reply.done()
    expect([reply.answers, up?.aborted, reply.messages.length < 5]).toEqual([1, true, true])
    expect(calls.held()).toBe(0n)
  })

  describe('carries the answer of a call whose own stream the server ended', () => {
    const resumable = async () => {
      await start({ mode: 'prepaid', credit: '10' })
      const session = await calls.connect()
      const call = calls.ask(toolCall(1), { session })
      calls.upstream.of('tools/call')[0]?.head(eventStream).prime('1').end()
      expect(call.events).toEqual(['end'])
      const reply = calls.stream(session, { 'last-event-id': '1' })
      const up = calls.upstream.streams[0]?.head(eventStream)
      return { session, call, reply, up }
    }

    test('charged once, and only when its record is durable', async () => {
      const { call, reply, up, session } = await resumable()
      up?.event(result(1), '2').end()
      expect([reply.messages, reply.answers]).toEqual([[], 0])
      await reply.done()
      expect(reply.messages).toEqual([`id: 2\ndata: ${JSON.stringify(result(1))}\n\n`])
      expect(await calls.books()).toEqual({ records: 3, cost: unit, charged: unit })
      expect(calls.settled.find(({ record }) => record.method === 'stream')?.record.responseBytes).toBe(0)
      expect([session.calls.length, calls.relay.inFlight, calls.held()]).toEqual([0, 0, 0n])
      expect(call.events[0]).toBe('end')
    })

    test('and again to a client that resumes again, without another charge', async () => {
      const { session, reply, up } = await resumable()
      up?.event(result(1), '2')
      await until(() => reply.messages.length === 1, 'the answer')
      reply.leave()
      const second = calls.stream(session, { 'last-event-id': '1' })
      calls.upstream.streams[1]?.head(eventStream).event(result(1), '2')
      expect(second.messages.length).toBe(1)
      expect((await calls.books()).cost).toBe(unit)
    })

    test('but not when its record cannot be written: then the client reads why', async () => {
      const { reply, up } = await resumable()
      calls.fault.commit = true
      up?.event(result(1), '2')
      await until(() => reply.messages.length === 1, 'an answer')
      const answer = JSON.parse(reply.messages[0] ?? '') as {
        id: unknown
        result: { structuredContent: object }
      }
      expect(answer).toMatchObject({ id: 1, result: { structuredContent: { code: 'store_unavailable' } } })
      calls.fault.commit = false
      await until(() => calls.writer.accepting, 'the healing of the store')
      expect([calls.balance(), calls.held()]).toEqual([10n * unit, 0n])
    })

    test('but not after the call was given up', async () => {
      const { session, reply, up } = await resumable()
      session.findCall(1)?.cancel()
      await until(() => session.calls.length === 0, 'the record')
      up?.event(result(1), '2').event(note)
      expect(reply.messages.join()).not.toContain('"result"')
      expect(reply.messages.length).toBe(1)
      expect((await calls.books()).cost).toBe(0n)
    })

    test('but not when the balance does not cover it', async () => {
      await start({ mode: 'prepaid', credit: '8', price: { perKb: '1' } })
      const session = await calls.connect()
      calls.ask(toolCall(1), { session })
      calls.upstream.of('tools/call')[0]?.head(eventStream).prime('1').end()
      const reply = calls.stream(session)
      calls.upstream.streams[0]?.head(eventStream).event({ ...result(1), padding: 'x'.repeat(9000) })
      await until(() => reply.messages.length === 1, 'an answer')
      expect(reply.messages[0]).toContain('balance_exhausted')
      expect(reply.messages[0]).not.toContain('xxx')
      expect(calls.held()).toBe(0n)
    })
  })

  test('an answer that comes there first ends the call on its own stream too', async () => {
    await start()
    const session = await calls.connect()
    const call = calls.ask(toolCall(1), { session })
    const reply = calls.stream(session)
    calls.upstream.streams[0]?.head(eventStream).event(result(1))
    await until(() => reply.messages.length === 1, 'the answer')
    expect([call.events, calls.upstream.of('tools/call')[0]?.aborted]).toEqual([['end'], true])
    expect((await calls.books()).cost).toBe(unit)
  })
})
