// Batches over Streamable HTTP: one answer for all, one record for each, and none where the revision has none.
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeStore } from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'
import {
  head,
  json,
  modernHeaders,
  startMcpHttp,
  toolCall,
  type McpHttp,
} from '../../test/harness/mcp-http.ts'

let mcp: McpHttp
let token: string
let version = '2025-03-26'
beforeEach(async () => {
  version = '2025-03-26'
  mcp = await startMcpHttp()
  const script = mcp.calls.upstream.script
  mcp.calls.upstream.script = (up, message) => {
    if (message.method === 'initialize') up.succeed({ protocolVersion: version }, { sessionId: 'up-1' })
    else script?.(up, message)
  }
  token = await mcp.openSession()
  mcp.calls.upstream.sent.length = 0
})
afterEach(() => mcp.stop())
afterAll(closeStore)

const note = { jsonrpc: '2.0', method: 'notifications/x' }
const response = { jsonrpc: '2.0', id: 'q', result: {} }
const send = (body: string | object, headers: Record<string, string> = {}) =>
  mcp.post(body, { 'mcp-session-id': token, ...headers })
const calls = (count: number) => Array.from({ length: count }, (_, id) => toolCall(id))

describe('a batch', () => {
  test('is answered by an array in its order, and each call has its own record', async () => {
    const before = (await mcp.calls.books()).records
    const answer = await send([toolCall(1), note, toolCall('b'), response])
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'content-length': String(answer.text.length),
    })
    expect(answer.json).toEqual([
      { jsonrpc: '2.0', id: 1, result: { echoed: 1 } },
      { jsonrpc: '2.0', id: 'b', result: { echoed: 'b' } },
    ])
    // Two calls and the notification; a response belongs to the call that asked for it.
    expect((await mcp.calls.books()).records - before).toBe(3)
  })

  test('sends each message as the bytes that came', async () => {
    const body = `[ {"id":1,  "jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}} ,\n${JSON.stringify(note)}]`
    await send(body)
    const sent = mcp.calls.upstream.sent.map(({ request }) => Buffer.from(request?.body ?? []).toString())
    expect(sent).toEqual([body.slice(2, body.indexOf(' ,')), JSON.stringify(note)])
  })

  test('without requests is accepted once its messages are', async () => {
    const answer = await send([note, response])
    expect([answer.status, answer.text]).toEqual([202, ''])
  })

  test('of 100 calls is 100 calls, and of 101 none', async () => {
    const before = await mcp.calls.books()
    expect((await send(calls(100))).json).toHaveLength(100)
    const after = await mcp.calls.books()
    expect([after.records - before.records, after.charged - before.charged]).toEqual([
      100,
      100n * 1_000_000_000n,
    ])
    expect((await send(calls(101))).status).toBe(400)
    expect((await mcp.calls.books()).records).toBe(after.records)
  })

  test('with a call that is refused has its error at its place', async () => {
    const bad = toolCall(2, { _meta: { 'tollbridge/idempotency-key': '' } })
    const answer = await send([toolCall(1), bad, toolCall(3)])
    const members = answer.json as unknown as { id: number; error?: { code: number } }[]
    expect(members.map(({ id, error }) => [id, error?.code])).toEqual(
      expect.arrayContaining([
        [1, undefined],
        [2, -32600],
        [3, undefined],
      ]),
    )
  })

  test('becomes a stream where the server says more than answers', async () => {
    const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } }
    mcp.calls.upstream.script = (up, { id }) => {
      up.head({ contentType: 'event-stream' })
      if (id === 2) up.event(progress, 'e1')
      up.event({ jsonrpc: '2.0', id, result: { of: id } }).end()
    }
    const answer = await send(calls(3))
    expect(answer.headers['content-type']).toBe('text/event-stream')
    const events = answer.text
      .split('\n')
      .flatMap((line) => (line.startsWith('data: ') ? [JSON.parse(line.slice(6)) as { id?: number }] : []))
    expect(events).toContainEqual(progress)
    const ids = new Set(events.map(({ id }) => id))
    expect(ids).toEqual(new Set([0, 1, 2, undefined]))
    expect(answer.text).not.toContain('id: e1')
  })

  test('whose client leaves is billed for what runs, and leaves nothing behind', async () => {
    mcp.calls.upstream.script = undefined
    const { socket } = mcp.dial()
    const body = JSON.stringify(calls(3))
    const headers = { ...json, 'mcp-session-id': token, 'content-length': String(body.length) }
    socket.write(head(headers) + body)
    await until(() => mcp.calls.upstream.sent.length === 3, 'the calls')
    socket.destroy()
    for (const up of mcp.calls.upstream.sent) up.succeed()
    await until(() => mcp.calls.relay.inFlight === 0, 'the end of all')
    expect(mcp.calls.held()).toBe(0n)
  })
})

describe('a batch is refused whole, and nothing of it is sent or billed,', () => {
  test.each([
    ['with an initialize', [toolCall(1), { jsonrpc: '2.0', id: 2, method: 'initialize', params: {} }]],
    ['with an id used twice', [toolCall(1), toolCall(1)]],
    ['with what is no message', [toolCall(1), { id: 2 }]],
    ['within a batch', [[toolCall(1)]]],
    ['without messages', []],
    ['cut short', `[${JSON.stringify(toolCall(1))},`],
    [
      'with a modern call',
      [toolCall(1), toolCall(2, { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } })],
    ],
    [
      'with two names in one of its calls',
      '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}]',
    ],
  ])('%s', async (_, body) => {
    const before = (await mcp.calls.books()).records
    const answer = await send(body)
    expect([answer.status, [-32600, -32700].includes(answer.json.error?.code ?? 0)]).toEqual([400, true])
    expect(mcp.calls.upstream.sent).toEqual([])
    expect((await mcp.calls.books()).records).toBe(before)
  })

  test('under one idempotency key, or for another revision', async () => {
    expect((await send(calls(2), { 'idempotency-key': 'k' })).status).toBe(400)
    expect((await send(calls(2), { 'mcp-protocol-version': '2025-06-18' })).status).toBe(400)
    expect((await mcp.send('POST', modernHeaders, calls(2))).status).toBe(400)
    expect((await mcp.post(calls(2))).status).toBe(400)
    version = '2025-06-18'
    token = await mcp.openSession()
    mcp.calls.upstream.sent.length = 0
    expect((await send(calls(2))).json.error?.message).toContain('one message at a time')
    expect(mcp.calls.upstream.sent).toEqual([])
  })
})
