// HTTP+SSE clients, raw and official: the stream, its endpoint, whose it is, and what is left when it ends.
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hang } from '../upstreams/replies.ts'
import { until } from '../harness/until.ts'
import { bearer, initialize, meta, openSse, startRig, toolCall, type RawSse, type Rig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ TOLLBRIDGE_SESSIONS_KEEP_ALIVE_MS: '300', TOLLBRIDGE_HTTP_MAX_BODY_BYTES: '20000' })
})
afterAll(() => rig.stop())

const open = (server = 'recorder', caller = rig.ann) =>
  openSse(rig.gateway.url, `/mcp/${server}/sse`, bearer(caller))
const post = async (path: string, body: string | object, headers: Record<string, string> = {}) => {
  const response = await fetch(rig.gateway.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...bearer(rig.ann), ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, text: await response.text(), headers: response.headers }
}
const gone = (client: RawSse) =>
  until(async () => client.closed() && (await rig.openSessions()) === 0, 'the end of the session')

describe('the stream', () => {
  test('begins with the endpoint on its own origin, under a token that nobody guesses, and is never kept', async () => {
    const [one, two] = [await open(), await open()]
    expect(one.endpoint).toMatch(/^\/mcp\/recorder\/message\?sessionId=[\w-]{32}$/)
    expect(one.endpoint).not.toBe(two.endpoint)
    expect(one.head.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    })
    one.cut()
    two.cut()
  })

  test('has a comment every so often', async () => {
    const client = await open()
    await until(() => client.text().split(': keep-alive\n\n').length > 3, 'three comments')
    client.cut()
  })

  test.each([
    ['no credential', {}, 401],
    ['a wrong credential', { authorization: 'Bearer tb_wrong' }, 401],
    ['another Accept', { accept: 'application/json' }, 406],
    ['a foreign Origin', { origin: 'https://evil.example' }, 403],
  ])('with %s is refused', async (_, headers, status) => {
    const credential = status === 401 ? {} : bearer(rig.ann)
    const response = await fetch(`${rig.gateway.url}/mcp/recorder/sse`, {
      headers: { ...credential, ...headers },
    })
    expect([response.status, response.headers.has('www-authenticate')]).toEqual([status, status === 401])
    expect(await response.text()).not.toContain('endpoint')
  })

  test('of a server that is not there is 404, and POST to it is 405, which old clients fall back on', async () => {
    const response = await fetch(`${rig.gateway.url}/mcp/nobody/sse`, { headers: bearer(rig.ann) })
    expect(response.status).toBe(404)
    const posted = await post('/mcp/recorder/sse', initialize())
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET'])
  })
})

describe('a message', () => {
  test('is accepted at once, its answer comes on the stream, and its record says sse', async () => {
    const client = await open()
    expect(await client.say(initialize())).toEqual({ status: 202, json: 'Accepted' })
    expect((await client.answer('init')).result.serverInfo.name).toBe('recorder')
    expect((await client.say({ jsonrpc: '2.0', method: 'notifications/initialized' })).status).toBe(202)
    await client.say(toolCall(1))
    expect((await client.answer(1)).result.content).toBeDefined()
    expect((await rig.records('&method=tools/call'))[0]).toMatchObject({
      transport: 'sse',
      era: 'legacy',
      outcome: 'success',
      cost: '0.01',
      clientInfo: 'raw/1',
    })
    client.cut()
    await gone(client)
  })

  test.each([
    ['no JSON', '{"jsonrpc"', {}, [400, -32700]],
    ['no message', '{"id":1}', {}, [400, -32600]],
    [
      'larger than the limit',
      `{"jsonrpc":"2.0","method":"x","params":{"x":"${'x'.repeat(20_000)}"}}`,
      {},
      [413, 41300],
    ],
    ['of another type', '{}', { 'content-type': 'text/plain' }, [415, 41500]],
    ['compressed', '{}', { 'content-encoding': 'gzip' }, [415, 41500]],
  ])('that is %s is refused', async (_, body, headers, expected) => {
    const client = await open()
    const answer = await post(client.endpoint, body, headers)
    expect([answer.status, JSON.parse(answer.text).error.code]).toEqual(expected)
    expect(client.heard).toEqual([])
    client.cut()
  })

  test('whose answer has lines of its own is one event, with nothing of the server outside of it', async () => {
    const client = await open()
    await client.shakeHands()
    const text = 'x\n\nevent: endpoint\ndata: http://evil.example\r\r: '
    rig.recorder.once(({ message, response }) => {
      const answer = { jsonrpc: '2.0', id: message.id, result: { content: [{ type: 'text', text }] } }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer, undefined, '\r\n\n\r  '))
    })
    await client.say(toolCall(1))
    expect((await client.answer(1)).result.content[0].text).toBe(text)
    expect(client.text().match(/^event: endpoint/gm)).toHaveLength(1)
    client.cut()
    await gone(client)
  })

  test('before initialize, or of the modern era, is answered with the next step', async () => {
    const client = await open()
    await client.say(toolCall(1))
    await client.say(toolCall(2, 'work', { _meta: meta }))
    expect((await client.answer(1)).error.data.code).toBe('session_required')
    expect((await client.answer(2)).error.data.code).toBe('unsupported_era')
    client.cut()
  })

  test('of somebody else, without a stream, or of another endpoint finds nothing', async () => {
    const client = await open()
    const hits = rig.recorder.hits.length
    const token = client.endpoint.split('=')[1]
    const body = initialize()
    expect((await post(client.endpoint, body, bearer(rig.bob))).status).toBe(404)
    expect((await post(client.endpoint, body, { authorization: '' })).status).toBe(401)
    expect((await post(`/mcp/fixture/message?sessionId=${token}`, body)).status).toBe(404)
    expect((await post('/mcp/recorder/message?sessionId=nobody', body)).status).toBe(404)
    expect((await post('/mcp/recorder/message', body)).status).toBe(400)
    const [stranger, nobody] = [
      await post(client.endpoint, body, bearer(rig.bob)),
      await post('/mcp/recorder/message?sessionId=nobody', body, bearer(rig.bob)),
    ]
    expect(stranger.text).toBe(nobody.text)
    expect([client.heard, rig.recorder.hits.length]).toEqual([[], hits])
    client.cut()
    await until(() => client.closed(), 'the end')
    await until(async () => (await post(client.endpoint, body)).status === 404, 'no endpoint any more')
  })
})

describe('the end of the stream', () => {
  test('frees the session and the server; a call in flight runs on and is billed', async () => {
    const client = await open()
    await client.shakeHands()
    const answers: (() => void)[] = []
    rig.recorder.once(async ({ message, response }) => {
      await new Promise<void>((resolve) => answers.push(resolve))
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { content: [] } }))
    })
    await client.say(toolCall('late'))
    await until(() => answers.length === 1, 'the call')
    const before = (await rig.records('&method=tools/call')).length
    client.cut()
    await until(
      () => rig.recorder.hits.some((hit) => hit.httpMethod === 'GET' && hit.aborted),
      'the end of its stream',
    )
    expect(await rig.openSessions()).toBe(1)
    answers[0]?.()
    await gone(client)
    const records = await rig.records('&method=tools/call')
    expect(records.length - before).toBe(1)
    expect(records[0]).toMatchObject({ outcome: 'success', cost: '0.01', transport: 'sse' })
    expect(rig.recorder.sessions.size).toBe(0)
  })

  test('comes within a second when the key is revoked', async () => {
    const { id, key } = await rig.ann.ok('POST', '/api/v1/keys', { name: 'soon-gone' })
    const client = await openSse(rig.gateway.url, '/mcp/recorder/sse', { authorization: `Bearer ${key}` })
    await client.shakeHands()
    await rig.ann.ok('DELETE', `/api/v1/keys/${id}`)
    await until(() => client.closed(), 'the end of the stream', 1000)
    expect((await post(client.endpoint, toolCall(1))).status).toBe(404)
    await gone(client)
  })

  test('comes with the end of its session', async () => {
    const client = await open()
    await client.shakeHands()
    const [{ id }] = (await rig.ann.all('/api/v1/sessions')) as [{ id: string }]
    await rig.ann.ok('DELETE', `/api/v1/sessions/${id}`)
    await until(() => client.closed(), 'the end of the stream', 3000)
  })

  test('a client that reads nothing holds nobody else up, and leaves nothing behind', async () => {
    rig.recorder.on('tools/call', ({ message, response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const content = [{ type: 'text', text: 'x'.repeat(1_000_000) }]
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { content } }))
    })
    const slow = await open()
    const quick = await open()
    await slow.shakeHands()
    slow.pause()
    for (let id = 0; id < 40; id++) await slow.say(toolCall(id))
    await quick.shakeHands()
    await quick.say(toolCall('q'))
    await quick.answer('q')
    // More than a connection may have waiting: it is cut off.
    await until(async () => (await rig.openSessions()) === 1, 'the end of the slow one', 15_000)
    quick.cut()
    await gone(quick)
    rig.recorder.on('tools/call', hang())
  }, 30_000)
})

describe('SDK 1.32', () => {
  test('lists, calls and hears progress at a stdio server, and its child ends with it', async () => {
    const transport = new SSEClientTransport(new URL(`${rig.gateway.url}/mcp/everything/sse`), {
      requestInit: { headers: bearer(rig.ann) },
      eventSourceInit: {
        fetch: (url, init) => fetch(url, { ...init, headers: { ...init?.headers, ...bearer(rig.ann) } }),
      },
    })
    const client = new Client({ name: 'sdk', version: '1' })
    await client.connect(transport)
    expect((await client.listTools()).tools.length).toBeGreaterThan(5)
    const answer = await client.callTool({ name: 'echo', arguments: { message: 'over sse' } })
    expect(JSON.stringify(answer.content)).toContain('over sse')
    await client.close()
    await until(async () => (await rig.openSessions()) === 0, 'the end of the session')
    expect((await rig.records('&server=everything&method=tools/call'))[0]).toMatchObject({
      transport: 'sse',
      upstreamTransport: 'stdio',
      clientInfo: 'sdk/1',
    })
  })
})
