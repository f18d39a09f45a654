// Each path of a call over a real store: one answer, one record, and no hold left, whatever the server or client does.
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { formatCallId } from '../base/id.ts'
import {
  closeStore,
  startCalls,
  testServer,
  toolCall,
  type Calls,
  type CallsOptions,
  type FakeExchange,
  settledOnce,
} from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'

let calls: Calls
const start = async (options: CallsOptions = {}): Promise<Calls> => (calls = await startCalls(options))
afterEach(() => calls.stop())
afterAll(closeStore)

const unit = 10n ** 9n
const slow = { ...testServer, timeouts: { ...testServer.timeouts, callMs: 40 } }
const result = (id: unknown, value: object = { content: [] }) => ({ jsonrpc: '2.0', id, result: value })
const progress = {
  jsonrpc: '2.0',
  method: 'notifications/progress',
  params: { progressToken: 1, progress: 1 },
}

interface Path {
  readonly name: string
  readonly script: (exchange: FakeExchange) => void
  readonly outcome: string
  readonly cost: bigint
  readonly status?: number
  readonly code?: number | string
}

const paths: Path[] = [
  { name: 'a JSON result', script: (up) => up.succeed(), outcome: 'success', cost: unit, status: 200 },
  {
    name: 'an SSE result after progress',
    script: (up) => {
      up.head({ contentType: 'event-stream' }).event(progress).event(result(up.request?.message.id)).end()
    },
    outcome: 'success',
    cost: unit,
    status: 200,
  },
  {
    name: "a tool's own failure",
    script: (up) => up.succeed({ isError: true, content: [] }),
    outcome: 'tool_error',
    cost: 0n,
    status: 200,
  },
  {
    name: 'a JSON-RPC error',
    script: (up) => up.json({ jsonrpc: '2.0', id: 7, error: { code: -32603, message: 'broken' } }),
    outcome: 'error',
    cost: 0n,
    code: -32603,
  },
  {
    name: 'a refusal as malformed',
    script: (up) =>
      up.json({ jsonrpc: '2.0', id: 7, error: { code: -32602, message: 'no' } }, { status: 400 }),
    outcome: 'error',
    cost: 0n,
    status: 400,
    code: -32602,
  },
  {
    name: 'an error without an id under status 200, which the client must still recognise',
    script: (up) => up.json({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'what?' } }),
    outcome: 'error',
    cost: 0n,
    code: -32700,
  },
  {
    name: 'an answer to another id',
    script: (up) => up.json(result('other')),
    outcome: 'unknown',
    cost: 0n,
    code: 'upstream_unavailable',
  },
  {
    name: 'a result without an id',
    script: (up) => up.json(result(null)),
    outcome: 'unknown',
    cost: 0n,
    code: 'upstream_unavailable',
  },
  {
    name: 'a page that is no JSON',
    script: (up) => up.json('<html>', { contentType: 'other' }),
    outcome: 'unknown',
    cost: 0n,
    code: 'upstream_unavailable',
  },
  {
    name: 'a 404 page, whose status stays',
    script: (up) => up.json('not here', { status: 404, contentType: 'other' }),
    outcome: 'error',
    cost: 0n,
    status: 404,
    code: -32000,
  },
  {
    name: 'an empty 405, whose status stays',
    script: (up) => up.head({ status: 405, contentType: 'none' }).end(),
    outcome: 'error',
    cost: 0n,
    status: 405,
    code: -32000,
  },
  {
    name: "a 401 to the gateway's own credential",
    script: (up) => up.json({ jsonrpc: '2.0', id: 7, error: { code: 1, message: 'who?' } }, { status: 401 }),
    outcome: 'unknown',
    cost: 0n,
    code: 'upstream_unavailable',
  },
  {
    name: 'a 500 page',
    script: (up) => up.json('oops', { status: 500, contentType: 'other' }),
    outcome: 'unknown',
    cost: 0n,
    code: 'upstream_unavailable',
  },
  {
    name: 'a stream that ends early',
    script: (up) => up.head({ contentType: 'event-stream' }).event(progress).end(),
    outcome: 'unknown',
    cost: 0n,
    code: 'upstream_unavailable',
  },
  {
    name: 'a connection that breaks',
    script: (up) => up.head({ contentType: 'event-stream' }).event(progress).fail(),
    outcome: 'unknown',
    cost: 0n,
    code: 'upstream_unavailable',
  },
  {
    name: 'a connection that was never made',
    script: (up) => up.fail({ stage: 'connect', sent: false }),
    outcome: 'error',
    cost: 0n,
    code: 'upstream_unavailable',
  },
  {
    name: 'an answer over the limit',
    script: (up) => up.head().fail({ tooLarge: true }),
    outcome: 'error',
    cost: 0n,
    code: 'upstream_unavailable',
  },
]

describe('a call is answered once, recorded once and leaves no hold', () => {
  test.each(paths)('$name', async ({ script, outcome, cost, status, code }) => {
    await start({ mode: 'prepaid', credit: '10' })
    calls.upstream.script = script
    const reply = calls.ask(toolCall(7))
    await settledOnce(calls, reply, { outcome, cost })
    if (status !== undefined) expect(reply.answer?.status).toBe(status)
    const { id, error, result: tool } = reply.json
    const shown = tool?.['structuredContent'] as { code?: string } | undefined
    if (code !== undefined) expect(shown?.code ?? error?.code).toBe(code)
    expect(id).toBe(7)
    expect(calls.balance()).toBe(10n * unit - cost)
    expect(reply.answer?.callId).toBe(formatCallId(calls.settled[0]?.record.id ?? 0n))
  })

  test('whatever the server says twice', async () => {
    await start()
    calls.upstream.script = (up) => {
      up.head({ contentType: 'event-stream' })
      up.event(result(1)).event(result(1)).event(progress).end()
    }
    const reply = calls.ask(toolCall(1))
    await settledOnce(calls, reply, { outcome: 'success', cost: unit })
  })

  test('progress goes out at once and the final answer only when its record is durable', async () => {
    await start()
    const reply = calls.ask(toolCall(1))
    calls.upstream.sent[0]?.head({ contentType: 'event-stream' }).event(progress)
    expect(reply.messages.length).toBe(1)
    calls.upstream.sent[0]?.event(result(1)).end()
    expect([reply.messages.length, reply.answers, calls.settled.length]).toEqual([1, 0, 0])
    await settledOnce(calls, reply, { outcome: 'success', cost: unit })
    expect(reply.streamed).toBe(true)
  })

  test('a stream that stays open after its answer gives its connection back', async () => {
    await start()
    calls.upstream.script = (up) => void up.head({ contentType: 'event-stream' }).event(result(1))
    await settledOnce(calls, calls.ask(toolCall(1)), { outcome: 'success', cost: unit })
    await until(() => calls.upstream.sent[0]?.aborted === true, 'the end of the exchange')
  })

  test('a slow client pauses the server and lets it go on', async () => {
    await start()
    const reply = calls.ask(toolCall(1))
    const [up] = calls.upstream.sent
    reply.slow = true
    up?.head({ contentType: 'event-stream' }).event(progress)
    expect(up?.paused).toBe(true)
    reply.drain()
    expect(up?.paused).toBe(false)
    up?.event(result(1)).end()
    await settledOnce(calls, reply, { outcome: 'success', cost: unit })
  })

  test('a round that asks for input costs nothing', async () => {
    await start()
    calls.upstream.script = (up) => up.succeed({ resultType: 'input_required', inputRequests: {} })
    await settledOnce(calls, calls.ask(toolCall(1)), { outcome: 'success', cost: 0n })
  })

  test('the cost comes back where the client asks for it', async () => {
    await start()
    calls.upstream.script = (up) => up.succeed({ content: [], _meta: { kept: 1 } })
    const reply = await calls.ask(toolCall(1, { _meta: { 'tollbridge/report': true } })).done()
    const callId = reply.answer?.callId
    const cost = { amount: '1', currency: 'USD', balance: '-1', callId }
    expect(reply.json.result?.['_meta']).toEqual({ kept: 1, 'tollbridge/cost': cost })
    expect(reply.answer).toMatchObject({ cost: '1', status: 200 })
  })
})

describe('a subscription', () => {
  const listen = { id: 1, method: 'subscriptions/listen', params: { notifications: {} } }
  const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' }
  const startPriced = async (): Promise<void> => {
    await start()
    const price = { perCall: '1' }
    await calls.rules.create({ name: 'listens', currency: 'USD', match: { method: listen.method }, price })
  }

  test('is billed for what it brought when its client leaves', async () => {
    await startPriced()
    const reply = calls.ask(listen)
    calls.upstream.sent[0]?.head({ contentType: 'event-stream' }).event(changed)
    reply.leave()
    await until(() => calls.settled.length === 1, 'the record')
    expect(calls.settled[0]?.record).toMatchObject({ outcome: 'success', cost: unit, statusCode: 200 })
    expect(calls.settled[0]?.record.responseBytes).toBeGreaterThan(0)
    expect(calls.upstream.sent[0]?.aborted).toBe(true)
    expect(calls.held()).toBe(0n)
  })

  test('is billed for what it brought when the gateway stops, and says why it ended', async () => {
    await startPriced()
    const reply = calls.ask(listen)
    calls.upstream.sent[0]?.head({ contentType: 'event-stream' }).event(changed)
    await calls.relay.drain(100)
    await settledOnce(calls, reply, { outcome: 'success', cost: unit })
    expect(calls.settled[0]?.record).toMatchObject({ error: 'shutting_down', statusCode: 200 })
  })

  test('costs nothing where its client leaves before the server took it', async () => {
    await startPriced()
    const reply = calls.ask(listen)
    reply.leave()
    await until(() => calls.settled.length === 1, 'the record')
    expect(calls.settled[0]?.record).toMatchObject({ outcome: 'cancelled', cost: 0n })
  })
})

describe('time', () => {
  test('a call that hangs is answered, and a legacy server is told', async () => {
    await start()
    const session = await calls.connect('up-1', slow)
    const reply = calls.ask(toolCall(5), { session, server: slow })
    await settledOnce(calls, reply, { outcome: 'timeout', cost: 0n, records: 2 })
    expect(reply.json.result?.['structuredContent']).toMatchObject({ code: 'upstream_timeout' })
    const [told] = calls.upstream.of('notifications/cancelled')
    expect(told?.request?.message.params).toMatchObject({ requestId: 5 })
    expect(told?.headers['mcp-session-id']).toBe('up-1')
    expect(calls.upstream.sent[0]?.aborted).toBe(true)
  })

  test('a call whose server asks the client for something waits for people, not for machines', async () => {
    await start()
    const session = await calls.connect('up-1', slow)
    const reply = calls.ask(toolCall(5), { session, server: slow })
    const [up] = calls.upstream.of('tools/call')
    const question = { jsonrpc: '2.0', id: 'q', method: 'elicitation/create', params: {} }
    up?.head({ contentType: 'event-stream' }).event(question)
    await new Promise((resolve) => setTimeout(resolve, 5 * slow.timeouts.callMs))
    expect(reply.answers).toBe(0)
    up?.event(result(5)).end()
    await settledOnce(calls, reply, { outcome: 'success', cost: unit, records: 2 })
  })

  test('a modern server hears of it by the closed stream alone', async () => {
    await start()
    const reply = calls.ask(toolCall(5), { server: slow })
    await settledOnce(calls, reply, { outcome: 'timeout', cost: 0n })
    expect(calls.upstream.sent.length).toBe(1)
    expect(calls.upstream.sent[0]?.aborted).toBe(true)
  })

  test('a hanging initialize is answered but never cancelled, and its session ends', async () => {
    await start()
    const session = await calls.open(slow)
    const reply = calls.ask({ id: 1, method: 'initialize' }, { session, server: slow })
    await settledOnce(calls, reply, { outcome: 'timeout', cost: 0n })
    expect(calls.upstream.of('notifications/cancelled')).toEqual([])
    await until(() => session.status === 'closed', 'the end of the session')
  })

  test('a notification that the server never takes is answered', async () => {
    await start()
    const reply = calls.ask({ method: 'notifications/x' }, { server: slow })
    await settledOnce(calls, reply, { outcome: 'timeout', cost: 0n })
    expect(reply.refusal?.code).toBe('upstream_timeout')
    expect(calls.upstream.sent[0]?.aborted).toBe(true)
  })
})

describe('a client that goes away', () => {
  test('cancels in the modern era', async () => {
    await start()
    const reply = calls.ask(toolCall(1))
    reply.leave()
    await until(() => calls.settled.length === 1, 'the record')
    expect(calls.settled[0]?.record).toMatchObject({ outcome: 'cancelled', cost: 0n })
    expect(calls.upstream.sent[0]?.aborted).toBe(true)
    expect(calls.held()).toBe(0n)
  })

  test('does not cancel in the legacy era', async () => {
    await start()
    const session = await calls.connect()
    const reply = calls.ask(toolCall(1), { session })
    reply.leave()
    expect(calls.upstream.sent[0]?.aborted).toBe(false)
    calls.upstream.sent[0]?.succeed()
    await settledOnce(calls, reply, { outcome: 'success', cost: unit, records: 2 })
  })

  test('cancels by a notification in its session, and a late answer is not handed out', async () => {
    await start()
    const session = await calls.connect()
    const reply = calls.ask(toolCall(1), { session })
    const watching = calls.stream(session)
    calls.upstream.streams[0]?.head({ contentType: 'event-stream' })
    calls.upstream.script = (up) => up.head({ status: 202, contentType: 'none' }).end()
    const notice = calls.ask({ method: 'notifications/cancelled', params: { requestId: 1 } }, { session })
    await Promise.all([reply.done(), notice.done()])
    expect([reply.events, notice.events]).toEqual([['end'], ['accepted']])
    expect(calls.settled.map(({ record }) => record.outcome)).toContain('cancelled')
    calls.upstream.streams[0]?.event(result(1)).event({ jsonrpc: '2.0', method: 'notifications/y' })
    expect(watching.messages.join()).not.toContain('"result"')
    expect(watching.messages.join()).toContain('notifications/y')
  })

  test('may not cancel the call of another session with the same id', async () => {
    await start()
    const [own, other] = [await calls.connect(), await calls.connect('up-2')]
    const reply = calls.ask(toolCall(1), { session: own })
    calls.ask({ method: 'notifications/cancelled', params: { requestId: 1 } }, { session: other })
    calls.ask({ method: 'notifications/cancelled', params: { requestId: '1' } }, { session: own })
    calls.upstream.of('tools/call')[0]?.succeed()
    await reply.done()
    expect(reply.json.result).toEqual({ content: [] })
  })
})
