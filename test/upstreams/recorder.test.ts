// The recorder does what it is told and keeps what it saw; every black-box test leans on that.
import { afterEach, expect, test } from 'vitest'
import { startRecorder } from './recorder.ts'
import type { Recorder, RecorderOptions } from './recorder.ts'
import * as replies from './replies.ts'

let recorder: Recorder | undefined
afterEach(() => recorder?.stop())

async function start(options?: RecorderOptions): Promise<Recorder> {
  recorder = await startRecorder(options)
  return recorder
}

const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' }
const post = (url: string, message: unknown, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof message === 'string' ? message : JSON.stringify(message),
    signal: AbortSignal.timeout(5000),
  })
const call = (id: number, params: object = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'work', arguments: {}, _meta: meta, ...params },
})
async function openSession(url: string): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }
  const response = await post(url, { jsonrpc: '2.0', id: 0, method: 'initialize', params })
  return response.headers.get('mcp-session-id') ?? ''
}

test('a request is kept as its exact bytes and raw headers', async () => {
  const stub = await start()
  const body =
    '{ "jsonrpc":"2.0", "id":1.0, "method":"tools/call", "params":{"name":"work","_meta":' +
    JSON.stringify(meta) +
    '} }'
  expect((await post(stub.url, body, { 'X-Mixed-Case': 'Kept' })).status).toBe(200)
  expect(stub.hits[0]?.body.toString()).toBe(body)
  expect(stub.hits[0]?.rawHeaders.join('\n').toLowerCase()).toContain('x-mixed-case\nkept')
  expect(stub.calls('work')).toHaveLength(1)
  expect(stub.calls('other')).toHaveLength(0)
})

test('a legacy session is needed, and a forgotten one is 404', async () => {
  const stub = await start()
  const legacy = call(1, { _meta: undefined })
  expect((await post(stub.url, legacy)).status).toBe(400)
  const session = { 'mcp-session-id': await openSession(stub.url) }
  expect((await post(stub.url, legacy, session)).status).toBe(200)
  stub.forgetSessions()
  expect((await post(stub.url, legacy, session)).status).toBe(404)
})

test('a stub of one era refuses the other', async () => {
  const modern = await start({ era: 'modern' })
  const refused = await post(modern.url, { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} })
  expect([refused.status, await refused.json()]).toMatchObject([400, { error: { code: -32022 } }])
  await modern.stop()
  const legacy = await start({ era: 'legacy' })
  expect((await post(legacy.url, call(1))).status).toBe(400)
})

test.each([
  ['reset', replies.reset()],
  ['half a body', replies.halfBody()],
  ['a cut stream', replies.streamCut({ reset: true })],
])('%s breaks the answer', async (_name, reply) => {
  const stub = await start({ reply })
  await expect(post(stub.url, call(1)).then((response) => response.text())).rejects.toThrow()
})

test('the other wrong answers are answered as told, once each where queued', async () => {
  const stub = await start()
  const expected: [replies.Reply, number, string | RegExp][] = [
    [replies.wrongId(), 200, /"id":"not-yours"/],
    [replies.notJson(502), 502, /<html>/],
    [replies.redirect('http://127.0.0.1:1/'), 307, ''],
    [replies.sessionLost(), 404, /-32001/],
    [replies.toolError(), 200, /"isError":true/],
    [replies.rpcError(-32602, 'bad', { status: 400 }), 400, /-32602/],
    [replies.bigAnswer(100_000), 200, /x{100000}/],
  ]
  for (const [reply] of expected) stub.once(reply)
  for (const [, status, body] of expected) {
    const response = await post(stub.url, call(1))
    expect(response.status).toBe(status)
    expect(await response.text()).toMatch(body)
  }
  expect(await (await post(stub.url, call(9))).json()).toMatchObject({
    id: 9,
    result: { resultType: 'complete' },
  })
})

test('progress comes before the result, and a caller that leaves is seen', async () => {
  const stub = await start({ reply: replies.streamed({ steps: 3, everyMs: 1 }) })
  const events = await (await post(stub.url, call(1, { _meta: { ...meta, progressToken: 'p' } }))).text()
  expect(events.match(/notifications\/progress/g)).toHaveLength(3)
  expect(events.trimEnd().split('\n').at(-1)).toContain('"result"')
  stub.reply(replies.hang())
  const leave = new AbortController()
  const left = fetch(stub.url, { method: 'POST', body: JSON.stringify(call(2)), signal: leave.signal })
  await stub.until(({ hits }) => hits.length === 2)
  leave.abort()
  await expect(left).rejects.toThrow()
  await stub.until(({ hits }) => hits[1]?.aborted === true)
})

test('a question in mid-call waits for its answer in both eras', async () => {
  const stub = await start({ reply: replies.elicit() })
  const asked = (await (await post(stub.url, call(1))).json()) as { result: { resultType: string } }
  expect(asked.result.resultType).toBe('input_required')
  const inputResponses = { question: { action: 'accept', content: { name: 'Ada' } } }
  expect(await (await post(stub.url, call(2, { inputResponses }))).text()).toContain('Ada')

  const session = { 'mcp-session-id': await openSession(stub.url) }
  const stream = await post(stub.url, call(3, { _meta: undefined }), session)
  const result = { action: 'accept', content: { name: 'Grace' } }
  expect((await post(stub.url, { jsonrpc: '2.0', id: 'ask-3', result }, session)).status).toBe(202)
  expect(await stream.text()).toContain('Grace')
})

test('pushed messages reach the open streams of their session', async () => {
  const stub = await start()
  const session = { 'mcp-session-id': await openSession(stub.url) }
  const stream = await fetch(stub.url, { headers: { accept: 'text/event-stream', ...session } })
  expect(stub.push({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }, 'another')).toBe(0)
  expect(stub.push({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })).toBe(1)
  const reader = stream.body?.getReader()
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toContain('list_changed')
  await reader?.cancel()
})
