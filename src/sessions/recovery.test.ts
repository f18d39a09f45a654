// A server that lost its session is opened again once, and nothing is left behind where that fails.
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import {
  closeStore,
  startCalls,
  testServer,
  toolCall,
  type Calls,
  type CallsOptions,
  type FakeExchange,
} from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'

let calls: Calls
const start = async (options: CallsOptions = {}): Promise<Calls> => (calls = await startCalls(options))
afterEach(() => calls.stop())
afterAll(closeStore)

const unit = 10n ** 9n
const stdio = { ...testServer, transport: { type: 'stdio', command: 'x', args: [], env: {} } } as const
const result = (id: unknown) => ({ jsonrpc: '2.0', id, result: { content: [] } })
const lost = { status: 404, contentType: 'other' } as const
const initialized = { protocolVersion: '2025-11-25' }

describe('a server that lost its session', () => {
  test('is initialised again once for all calls that wait, and they are answered', async () => {
    await start()
    const session = await calls.connect()
    let reopened = 0
    calls.upstream.script = (up, message) => {
      if (message.method === 'initialize') up.succeed(initialized, { sessionId: `new-${++reopened}` })
      else if (message.method === 'notifications/initialized')
        up.head({ status: 202, contentType: 'none' }).end()
      else if (up.headers['mcp-session-id'] === 'up-1') up.json('gone', lost)
      else up.succeed()
    }
    const replies = [1, 2, 3].map((id) => calls.ask(toolCall(id), { session }))
    await Promise.all(replies.map((reply) => reply.done()))
    expect(reopened).toBe(1)
    expect(replies.map((reply) => reply.json)).toEqual([1, 2, 3].map(result))
    expect(session.upstreamSessionId).toBe('new-1')
    expect(calls.upstream.of('notifications/initialized')[0]?.headers).toMatchObject({
      'mcp-session-id': 'new-1',
      'mcp-protocol-version': '2025-11-25',
    })
    expect(await calls.books()).toEqual({ records: 4, cost: 3n * unit, charged: 3n * unit })
  })

  test('and loses it again gives the client a clean 404, for free', async () => {
    await start()
    const session = await calls.connect()
    calls.upstream.script = (up, message) =>
      message.method === 'initialize' ? up.succeed(initialized, { sessionId: 'n' }) : up.json('gone', lost)
    const reply = await calls.ask(toolCall(1), { session }).done()
    expect([reply.answers, reply.answer?.status, reply.json.id]).toEqual([1, 404, 1])
    expect(calls.upstream.of('tools/call').length).toBe(2)
    expect((await calls.books()).cost).toBe(0n)
    expect(calls.held()).toBe(0n)
  })

  test('and does not take it back gives the client a clean 404, so that it initialises anew', async () => {
    await start()
    const session = await calls.connect()
    calls.upstream.script = (up, message) =>
      message.method === 'initialize' ? up.fail({ stage: 'connect', sent: false }) : up.json('gone', lost)
    const reply = await calls.ask(toolCall(1), { session }).done()
    expect([reply.answers, reply.answer?.status, reply.json.error?.code]).toEqual([1, 404, -32001])
    expect(calls.settled.at(-1)?.record).toMatchObject({ outcome: 'error', cost: 0n })
  })

  test('a session that is closed meanwhile opens nothing that nobody would close', async () => {
    await start()
    const session = await calls.connect()
    calls.upstream.script = (up, message) => {
      if (message.method === 'tools/call') up.json('gone', lost)
    }
    const reply = calls.ask(toolCall(1), { session })
    await until(() => calls.upstream.of('initialize').length === 1, 'the new initialize')
    await calls.sessions.close(session)
    calls.upstream.of('initialize')[0]?.succeed(initialized, { sessionId: 'orphan' })
    await reply.done()
    await until(() => calls.upstream.ended.length === 1, 'the end of the orphan')
    expect(calls.upstream.ended[0]).toEqual({ 'mcp-session-id': 'orphan' })
    expect(session.upstreamSessionId).toBe('up-1')
    expect(reply.answers).toBe(1)
  })

  test('a child that died is started again for the call that was not sent', async () => {
    await start()
    const session = await calls.open(stdio)
    calls.upstream.script = (up) => up.succeed(initialized)
    await calls.ask({ id: 0, method: 'initialize' }, { session, server: stdio }).done()
    const [child] = calls.children
    if (child) child.script = (up: FakeExchange) => up.fail({ stage: 'process', gone: true, sent: false })
    const reply = await calls.ask(toolCall(1), { session, server: stdio }).done()
    expect(reply.json.result).toEqual(initialized)
    expect([calls.children.length, child?.closed]).toEqual([2, 1])
  })

  test('a child that died in the middle of a call is not asked again', async () => {
    await start()
    const session = await calls.open(stdio)
    calls.upstream.script = (up) => up.succeed(initialized)
    await calls.ask({ id: 0, method: 'initialize' }, { session, server: stdio }).done()
    const [child] = calls.children
    if (child) child.script = (up: FakeExchange) => up.fail({ stage: 'process', sent: true })
    const reply = await calls.ask(toolCall(1), { session, server: stdio }).done()
    expect(reply.json.result?.['structuredContent']).toMatchObject({ code: 'upstream_unavailable' })
    expect(calls.children.length).toBe(1)
  })
})
