// Streamable HTTP as a client meets it: real sockets, every refusal with its status, and nothing sent or billed for it.
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeStore, testServer, alice } from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'
import {
  head,
  meta,
  modern,
  modernCall,
  modernHeaders,
  startMcpHttp,
  toolCall,
  type McpHttp,
} from '../../test/harness/mcp-http.ts'

let mcp: McpHttp
beforeEach(async () => {
  mcp = await startMcpHttp()
})
afterEach(() => mcp.stop())
afterAll(closeStore)

describe('a modern call', () => {
  test('is answered as JSON with its record and cost in the headers', async () => {
    const answer = await mcp.send('POST', modernHeaders, modernCall('a'))
    expect(answer.json).toEqual({ jsonrpc: '2.0', id: 'a', result: { echoed: 'a' } })
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(answer.text.length),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'tollbridge-cost': '1',
    })
    expect(answer.headers['tollbridge-call-id']).toMatch(/^use_/)
  })

  test('reaches the server as the bytes that came, with MCP headers and no others', async () => {
    const body = ` {"id":1,  "jsonrpc":"2.0","method":"tools/call","params":{"name":"t","_meta":${JSON.stringify(meta)}}}\n`
    const secrets = {
      authorization: 'Bearer s',
      cookie: 's',
      'x-api-key': 's',
      'mcp-session-id': 'fixed',
      'x-other': '1',
    }
    const answer = await mcp.send('POST', { ...modernHeaders, ...secrets, 'mcp-param-region': 'eu' }, body)
    const [up] = mcp.calls.upstream.sent
    expect(Buffer.from(up?.request?.body ?? []).toString()).toBe(body)
    expect(up?.headers).toEqual({
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': modern,
      'mcp-method': 'tools/call',
      'mcp-name': 't',
      'mcp-param-region': 'eu',
    })
    expect(answer.headers['mcp-session-id']).toBeUndefined()
  })

  test('streams its events as the server wrote them, the answer last', async () => {
    const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } }
    mcp.calls.upstream.script = (up) => {
      up.head({ contentType: 'event-stream' }).event(progress, 'e1')
      up.event({ jsonrpc: '2.0', id: 1, result: {} }).end()
    }
    const answer = await mcp.send('POST', modernHeaders, modernCall(1))
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
    expect(answer.text).toBe(
      `id: e1\ndata: ${JSON.stringify(progress)}\n\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n`,
    )
  })

  test.each([
    ['another tool in the header', { 'mcp-name': 'cheap' }, -32020],
    ['a broken base64 name', { 'mcp-name': '=?base64?**?=' }, -32020],
    ['another method in the header', { 'mcp-method': 'tools/list' }, -32020],
    ['another version in the header', { 'mcp-protocol-version': '2025-11-25' }, -32020],
    ['a missing name', { 'mcp-name': undefined }, -32020],
    ['a missing method', { 'mcp-method': undefined }, -32020],
    ['a missing version', { 'mcp-protocol-version': undefined }, -32020],
  ])('with %s is refused, and nothing is sent or billed', async (_, change, code) => {
    const headers = Object.fromEntries(
      Object.entries({ ...modernHeaders, ...change }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    )
    const answer = await mcp.send('POST', headers, modernCall(9))
    expect([answer.status, answer.json.id, answer.json.error?.code]).toEqual([400, 9, code])
    expect(mcp.calls.upstream.sent).toEqual([])
    expect((await mcp.calls.books()).records).toBe(0)
  })

  test('whose mirrored parameters disagree is refused, also when the schema has to be fetched first', async () => {
    mcp.paramMismatch = () => Promise.resolve('The mcp-param-x header disagrees.')
    const answer = await mcp.send('POST', modernHeaders, modernCall(9))
    expect([answer.status, answer.json.error?.code]).toEqual([400, -32020])
    mcp.paramMismatch = () => Promise.reject(new Error('secret detail'))
    const failed = await mcp.send('POST', modernHeaders, modernCall(9))
    expect([failed.status, failed.text.includes('secret')]).toEqual([500, false])
    expect(mcp.calls.upstream.sent).toEqual([])
  })

  test('whose client left before it was sent is cancelled', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    mcp.paramMismatch = () => promise
    mcp.calls.upstream.script = undefined
    const { socket } = mcp.dial()
    const body = JSON.stringify(modernCall(1))
    socket.write(head({ ...modernHeaders, 'content-length': String(body.length) }) + body)
    await until(() => socket.bytesWritten > body.length, 'the request')
    await new Promise((next) => setTimeout(next, 30))
    socket.destroy()
    await new Promise((next) => setTimeout(next, 30))
    resolve(undefined)
    await until(() => mcp.calls.settled.length === 1, 'the record')
    expect(mcp.calls.settled[0]?.record).toMatchObject({ outcome: 'cancelled', cost: 0n })
    expect(mcp.calls.held()).toBe(0n)
  })
})

describe('a legacy session', () => {
  test('begins with an id that the server picks, whatever the client sent', async () => {
    const opened = await mcp.post(
      { jsonrpc: '2.0', id: 0, method: 'initialize', params: {} },
      { 'mcp-session-id': 'mine' },
    )
    const token = String(opened.headers['mcp-session-id'])
    expect(token).toMatch(/^[\w-]{32}$/)
    const answer = await mcp.post(toolCall(1), {
      'mcp-session-id': token,
      'mcp-protocol-version': '2025-11-25',
    })
    expect(answer.json.result).toEqual({ echoed: 1 })
    expect(mcp.calls.upstream.of('tools/call')[0]?.headers).toMatchObject({
      'mcp-session-id': 'up-1',
      'mcp-protocol-version': '2025-11-25',
    })
  })

  test('is needed by every other message, and belongs to its caller', async () => {
    const token = await mcp.openSession()
    const none = await mcp.post(toolCall(1))
    const unknown = await mcp.post(toolCall(1), { 'mcp-session-id': 'no-such' })
    mcp.caller = { ...alice, userId: 'usr_bob' }
    const others = await mcp.post(toolCall(1), { 'mcp-session-id': token })
    expect([none.status, none.json.error?.code]).toEqual([400, -32000])
    expect([unknown.status, unknown.json.error?.code]).toEqual([404, -32001])
    expect([others.status, others.text]).toEqual([404, unknown.text])
    expect(await mcp.send('DELETE', { 'mcp-session-id': token })).toMatchObject({ status: 404 })
    expect(await mcp.send('GET', { accept: 'text/event-stream', 'mcp-session-id': token })).toMatchObject({
      status: 404,
    })
    expect(mcp.calls.upstream.of('tools/call')).toEqual([])
    expect(mcp.calls.sessions.count).toBe(1)
  })

  test('ends by DELETE, once', async () => {
    const headers = { 'mcp-session-id': await mcp.openSession() }
    expect((await mcp.send('DELETE', headers)).status).toBe(200)
    expect((await mcp.send('DELETE', headers)).status).toBe(404)
    expect((await mcp.post(toolCall(1), headers)).status).toBe(404)
    expect(mcp.calls.endedSessions.length).toBe(1)
  })

  test('takes notifications with 202 and an empty body', async () => {
    const headers = { 'mcp-session-id': await mcp.openSession() }
    const answer = await mcp.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, headers)
    expect([answer.status, answer.text]).toEqual([202, ''])
    expect(answer.headers['tollbridge-call-id']).toMatch(/^use_/)
  })

  test('is not left behind by an initialize with a bad idempotency key, nor by one without an id', async () => {
    const bad = await mcp.post(
      { jsonrpc: '2.0', id: 0, method: 'initialize' },
      { 'idempotency-key': 'k'.repeat(300) },
    )
    expect([bad.status, bad.json.error?.code]).toEqual([400, -32600])
    expect((await mcp.post({ jsonrpc: '2.0', method: 'initialize' })).status).toBe(400)
    expect(mcp.calls.sessions.count).toBe(0)
  })

  test('has a stream by GET, which ends with the session', async () => {
    const token = await mcp.openSession()
    const { socket, received, closed } = mcp.dial()
    socket.write(
      `GET / HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nmcp-session-id: ${token}\r\nlast-event-id: 4\r\n\r\n`,
    )
    await until(() => mcp.calls.upstream.streams.length === 1, 'the stream')
    const [up] = mcp.calls.upstream.streams
    expect(up?.headers).toMatchObject({
      accept: 'text/event-stream',
      'last-event-id': '4',
      'mcp-session-id': 'up-1',
    })
    up?.head({ contentType: 'event-stream' }).event({ jsonrpc: '2.0', method: 'notifications/x' }, '5')
    await until(() => received().includes('id: 5'), 'the event')
    await mcp.send('DELETE', { 'mcp-session-id': token })
    await until(() => received().endsWith('0\r\n\r\n'), 'the end of the stream')
    socket.destroy()
    await until(closed, 'the close')
  })

  test('GET without a session is 405, and with a wrong Accept 406', async () => {
    const none = await mcp.send('GET', { accept: 'text/event-stream' })
    expect([none.status, none.headers.allow]).toEqual([405, 'POST'])
    expect((await mcp.send('GET', { accept: 'application/json' })).status).toBe(406)
  })
})

describe('a session made by the API', () => {
  test('is the one of the path, whatever the header says, and is initialised once', async () => {
    const session = await mcp.calls.sessions.open(alice, {
      server: testServer,
      transport: 'streamable-http',
      ephemeral: false,
      client: { ip: '', userAgent: '' },
    })
    mcp.target = { session }
    const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params: {} }
    mcp.calls.upstream.script = (up) => up.fail({ stage: 'connect', sent: false })
    expect((await mcp.post(initialize)).status).toBe(502)
    expect(session.status).toBe('created')
    mcp.calls.upstream.script = (up) => up.succeed({ protocolVersion: '2025-11-25' })
    expect((await mcp.post(initialize)).headers['mcp-session-id']).toBe(session.token)
    expect((await mcp.post(initialize)).status).toBe(400)
    expect((await mcp.post(toolCall(1))).status).toBe(200)
    expect((await mcp.post(toolCall(2), { 'mcp-session-id': 'another' })).status).toBe(404)
  })
})
