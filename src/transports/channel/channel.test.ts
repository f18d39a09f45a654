// A channel: the session that lives and ends with a connection, both eras on one wire, order, bounds, and its end.
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  closeStore,
  startCalls,
  testServer,
  type Calls,
  type FakeExchange,
} from '../../../test/harness/calls.ts'
import { until } from '../../../test/harness/until.ts'
import { legacyCall, modernCall, openChannel } from '../../../test/harness/channel.ts'
import { meta } from '../../../test/harness/mcp-http.ts'

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

const sentMethods = () => calls.upstream.sent.map(({ request }) => request?.message.method ?? 'response')
const heldCall = async (count = 1): Promise<FakeExchange> => {
  await until(() => held.length >= count, 'the call')
  return held[count - 1] as FakeExchange
}
const ping = (id: unknown) => ({ jsonrpc: '2.0', id, method: 'ping' })

describe('the legacy era', () => {
  test('has a session from initialize to the end of the connection', async () => {
    const { line, initialize, say } = openChannel(calls)
    expect((await initialize()).result).toEqual({ protocolVersion: '2025-11-25' })
    expect(calls.sessions.count).toBe(1)
    say(legacyCall(1))
    ;(await heldCall()).succeed({ content: [] })
    expect(await line.answer(1)).toEqual({ jsonrpc: '2.0', id: 1, result: { content: [] } })
    expect(calls.settled.at(-1)?.record).toMatchObject({
      transport: 'websocket',
      era: 'legacy',
      method: 'tools/call',
      client: { info: 'c/1' },
    })
    expect((await heldCall()).headers).toMatchObject({
      'mcp-session-id': 'up-1',
      'mcp-protocol-version': '2025-11-25',
    })
    line.leave()
    await until(() => calls.sessions.count === 0, 'the end of the session')
  })

  test('a request before initialize is refused and costs nothing; a notification is dropped', async () => {
    const { line, say, taken } = openChannel(calls)
    say(ping(1))
    say({ jsonrpc: '2.0', method: 'notifications/x' })
    expect((await line.answer(1)).error).toMatchObject({ code: -32000, data: { code: 'session_required' } })
    expect(taken).toEqual([undefined, 'session_required'])
    expect([line.sent.length, calls.upstream.sent.length]).toEqual([1, 0])
  })

  test('a second initialize is refused, and the session stays', async () => {
    const { line, initialize } = openChannel(calls)
    await initialize()
    expect((await initialize(1)).error.code).toBe(-32600)
    expect([calls.sessions.count, line.closed]).toEqual([1, undefined])
  })

  test('an initialize that fails leaves no session, and another may be tried', async () => {
    const { initialize } = openChannel(calls)
    const { script } = calls.upstream
    calls.upstream.script = (up) => up.json({ jsonrpc: '2.0', id: 0, error: { code: -32602, message: 'no' } })
    expect((await initialize()).error.code).toBe(-32602)
    await until(() => calls.sessions.count === 0, 'no session')
    calls.upstream.script = script
    expect((await initialize(1)).result).toBeDefined()
    expect(calls.sessions.count).toBe(1)
  })

  test('what follows the handshake reaches the server after it, however fast the client is', async () => {
    const { line, say } = openChannel(calls)
    const { script } = calls.upstream
    const slow: (() => void)[] = []
    calls.upstream.script = (up, message) => {
      if (message.method === 'notifications/initialized') slow.push(() => script?.(up, message))
      else script?.(up, message)
    }
    say({ jsonrpc: '2.0', id: 0, method: 'initialize', params: {} })
    say({ jsonrpc: '2.0', method: 'notifications/initialized' })
    say(ping(1))
    say({ jsonrpc: '2.0', id: 'q', result: {} })
    await until(() => slow.length === 1, 'initialized')
    expect(sentMethods()).toEqual(['initialize', 'notifications/initialized'])
    slow[0]?.()
    ;(await heldCall()).succeed({})
    await line.answer(1)
    expect(sentMethods()).toEqual(['initialize', 'notifications/initialized', 'ping'])
  })

  test("the server's own stream is opened after the handshake, and brings its messages", async () => {
    const { line, initialize, initialized, say } = openChannel(calls)
    await initialize()
    expect(calls.upstream.streams.length).toBe(0)
    initialized()
    await until(() => calls.upstream.streams.length === 1, 'the stream')
    const [stream] = calls.upstream.streams
    expect(stream?.headers).toMatchObject({ accept: 'text/event-stream', 'mcp-session-id': 'up-1' })
    const question = { jsonrpc: '2.0', id: 'q', method: 'roots/list' }
    stream?.head({ contentType: 'event-stream' }).prime('e0').event(question, 'e1')
    expect(line.sent.at(-1)).toEqual(question)
    expect(line.raw.at(-1)).not.toContain('data:')
    say({ jsonrpc: '2.0', id: 'q', result: { roots: [] } })
    await until(() => sentMethods().at(-1) === 'response', 'the answer')
    line.leave()
    await until(() => stream?.aborted === true && calls.sessions.count === 0, 'the end')
    await until(() => calls.settled.some(({ record }) => record.method === 'stream'), 'its record')
  })

  test('a stream that ends is opened again behind its last event; one that is not there is left alone', async () => {
    const { line, initialize, initialized } = openChannel(calls)
    await initialize()
    initialized()
    await until(() => calls.upstream.streams.length === 1, 'the stream')
    calls.upstream.streams[0]?.head({ contentType: 'event-stream' })
    calls.upstream.streams[0]?.event({ jsonrpc: '2.0', method: 'notifications/x' }, 'e7').end()
    await until(() => calls.upstream.streams.length === 2, 'the next')
    expect(calls.upstream.streams[1]?.headers['last-event-id']).toBe('e7')
    calls.upstream.streams[1]?.head({ status: 405, contentType: 'none' }).end()
    await new Promise((resolve) => setTimeout(resolve, 1200))
    expect(calls.upstream.streams.length).toBe(2)
    expect(line.sent.map(({ method }) => method)).toEqual([undefined, 'notifications/x'])
  })

  test('an answer whose stream ends early is fetched behind its last event', async () => {
    const { line, initialize, say } = openChannel(calls)
    await initialize()
    say(legacyCall(1))
    const up = await heldCall()
    up.head({ contentType: 'event-stream' }).prime('e1').end()
    await until(() => calls.upstream.streams.length === 1, 'the resumed stream')
    expect(calls.upstream.streams[0]?.headers['last-event-id']).toBe('e1')
    const stream = calls.upstream.streams[0]
    stream
      ?.head({ contentType: 'event-stream' })
      .event({ jsonrpc: '2.0', id: 1, result: { late: true } }, 'e2')
    expect((await line.answer(1)).result).toEqual({ late: true })
    await until(() => stream?.aborted === true, 'the end of the stream')
    expect(line.sent.filter(({ id }) => id === 1).length).toBe(1)
  })

  test('a call whose client has gone runs on and is billed; then its session ends', async () => {
    const { line, initialize, say, ended } = openChannel(calls)
    await initialize()
    say(legacyCall(1))
    const up = await heldCall()
    line.leave()
    expect([up.aborted, calls.sessions.count, ended()]).toEqual([false, 1, 1])
    up.succeed({ content: [] })
    await until(() => calls.sessions.count === 0, 'the end of the session')
    expect(calls.settled.at(-1)?.record).toMatchObject({ outcome: 'success', cost: 1_000_000_000n })
    expect(line.sent.some(({ id }) => id === 1)).toBe(false)
  })

  test('a connection that ends while its session is opened leaves none', async () => {
    const { line, say } = openChannel(calls)
    say({ jsonrpc: '2.0', id: 0, method: 'initialize', params: {} })
    line.leave()
    await until(() => calls.sessions.count === 0, 'no session')
    expect(calls.relay.inFlight).toBe(0)
  })

  test('a cancelled call gets no answer, and the server hears of it', async () => {
    const { line, initialize, say } = openChannel(calls)
    await initialize()
    say(legacyCall(1))
    await heldCall()
    say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } })
    await until(() => sentMethods().includes('notifications/cancelled'), 'the cancellation')
    await until(() => calls.settled.some(({ record }) => record.outcome === 'cancelled'), 'the record')
    expect(line.sent.some(({ id }) => id === 1)).toBe(false)
    expect(calls.relay.inFlight).toBe(0)
  })

  test('a session made by the API is initialized once, and outlives its connections', async () => {
    const session = await calls.sessions.open(openChannel(calls).channel.origin.target.principal, {
      server: testServer,
      transport: 'websocket',
      ephemeral: false,
      client: { ip: '', userAgent: '' },
    })
    const first = openChannel(calls, { target: { session } })
    expect((await first.initialize()).result).toBeDefined()
    first.line.leave()
    const second = openChannel(calls, { target: { session } })
    expect((await second.initialize()).error.code).toBe(-32600)
    second.say(ping(1))
    ;(await heldCall()).succeed({})
    expect((await second.line.answer(1)).result).toEqual({})
    expect([session.open, calls.sessions.count, second.channel.orphaned]).toEqual([true, 1, false])
    await calls.sessions.close(session)
    expect(second.channel.orphaned).toBe(true)
  })
})

describe('the modern era', () => {
  test('needs no session; the headers that it has not are made of the body', async () => {
    const inputSchema = { properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } }
    const { line, say } = openChannel(calls, { options: { inputSchema: () => Promise.resolve(inputSchema) } })
    say(modernCall(1, { name: 'münze', arguments: { region: 'eu' } }))
    const up = await heldCall()
    expect(up.headers).toEqual({
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': `=?base64?${Buffer.from('münze').toString('base64')}?=`,
      'mcp-param-region': 'eu',
    })
    up.succeed({ resultType: 'complete' })
    expect((await line.answer(1)).result).toEqual({ resultType: 'complete' })
    expect(calls.settled.at(-1)?.record).toMatchObject({ era: 'modern', transport: 'websocket' })
    expect(calls.sessions.count).toBe(0)
  })

  test('is cancelled by its notification, which goes no further, or by the end of the connection', async () => {
    const { line, say } = openChannel(calls)
    say(modernCall(1))
    say(modernCall('1'))
    const [first, second] = [await heldCall(), await heldCall(2)]
    say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: '1', _meta: meta } })
    expect([first.aborted, second.aborted]).toEqual([false, true])
    say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'nobody', _meta: meta } })
    line.leave()
    expect(first.aborted).toBe(true)
    await until(() => calls.settled.length === 2, 'the records')
    expect(calls.settled.map(({ record }) => record.outcome)).toEqual(['cancelled', 'cancelled'])
    expect(sentMethods()).toEqual(['tools/call', 'tools/call'])
    expect([line.sent, calls.relay.inFlight]).toEqual([[], 0])
  })

  test('a call that is cancelled before its headers are made is never sent', async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const { say } = openChannel(calls, { options: { inputSchema: () => promise } })
    say(modernCall(1))
    say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } })
    resolve(undefined)
    await new Promise((next) => setTimeout(next, 10))
    expect([calls.upstream.sent.length, (await calls.books()).records]).toEqual([0, 0])
  })

  test('lives beside a session on the same connection', async () => {
    const { line, initialize, say } = openChannel(calls)
    await initialize()
    say(modernCall(1))
    say(legacyCall(2))
    const both = [await heldCall(), await heldCall(2)]
    expect(both.map(({ headers }) => headers['mcp-session-id'])).toEqual([undefined, 'up-1'])
    for (const up of both) up.succeed({ ok: true })
    expect([(await line.answer(1)).result, (await line.answer(2)).result]).toEqual([
      { ok: true },
      { ok: true },
    ])
  })

  test('is refused on a transport of the legacy era, with the next step', async () => {
    const { line, say } = openChannel(calls, { origin: { eras: 'legacy' } })
    say(modernCall(1))
    expect((await line.answer(1)).error.data.code).toBe('unsupported_era')
    expect(calls.upstream.sent.length).toBe(0)
  })

  test('an idempotency key in the body works, and one that is none is refused', async () => {
    const { line, say } = openChannel(calls)
    const keyed = { _meta: { ...meta, 'tollbridge/idempotency-key': 'k1' } }
    say(modernCall(1, keyed))
    ;(await heldCall()).succeed({ once: true })
    await line.answer(1)
    say(modernCall(2, keyed))
    expect((await line.answer(2)).result).toEqual({ once: true })
    expect((await calls.books()).charged).toBe(1_000_000_000n)
    say(modernCall(3, { _meta: { ...meta, 'tollbridge/idempotency-key': '' } }))
    expect((await line.answer(3)).error.code).toBe(-32600)
  })
})
