// WebSocket clients, raw and official: the handshake, both eras on one socket, questions of servers, and every end.
import { readdirSync, readFileSync } from 'node:fs'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { dial } from '../trust/bench.ts'
import { until } from '../harness/until.ts'
import { elicit, hang, streamed } from '../upstreams/replies.ts'
import {
  bearer,
  cancelled,
  initialize,
  initialized,
  meta,
  openWebSocket,
  startRig,
  toolCall,
  upgrade,
  type Json,
  type RawWebSocket,
  type Rig,
} from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ TOLLBRIDGE_HTTP_MAX_BODY_BYTES: '20000', TOLLBRIDGE_SESSIONS_PING_MS: '500' })
})
afterAll(() => rig.stop())

const open = (server = 'recorder', headers: Record<string, string> = bearer(rig.ann)) =>
  openWebSocket(rig.gateway.url, `/mcp/${server}/ws`, { headers })
const ask = (headers: Record<string, string>, path = '/mcp/recorder/ws') =>
  upgrade(rig.gateway.url, path, headers)
const gone = (client: RawWebSocket) =>
  until(async () => client.closed() && (await rig.openSessions()) === 0, 'the end of the session')
const modern = (id: unknown, name = 'work', params: object = {}) =>
  toolCall(id, name, { _meta: meta, ...params })

describe('the handshake', () => {
  test('takes the subprotocol mcp, or none at all, and no other', async () => {
    expect((await open()).socket.protocol).toBe('mcp')
    const mcp = { 'sec-websocket-protocol': 'chat, mcp' }
    expect(await ask({ ...bearer(rig.ann), ...mcp })).toMatch(
      /^HTTP\/1.1 101 [^]*Sec-WebSocket-Protocol: mcp\r\n/,
    )
    expect(await ask(bearer(rig.ann))).not.toContain('Sec-WebSocket-Protocol')
    const other = await ask({ ...bearer(rig.ann), 'sec-websocket-protocol': 'chat' })
    expect(other).toMatch(/^HTTP\/1.1 400 [^]*"code":"invalid_request"/)
  })

  test.each([
    ['without a credential', {}, 401],
    ['with a wrong credential', { authorization: 'Bearer tb_wrong' }, 401],
    ['with a wrong credential in a subprotocol', { 'sec-websocket-protocol': 'mcp, bearer.tb_wrong' }, 401],
  ])('%s is refused as HTTP refuses it', async (_, headers, status) => {
    const answer = await ask(headers)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).toMatch(/\r\nwww-authenticate: Bearer .*resource_metadata="[^"]+\/mcp\/recorder"/i)
    expect(answer).toMatch(/\r\nconnection: close\r\n/i)
  })

  test('of a foreign page is refused before anything is asked, whatever it carries', async () => {
    const answer = await ask({ ...bearer(rig.ann), origin: 'https://evil.example' })
    expect(answer).toMatch(/^HTTP\/1.1 403 [^]*origin_denied/)
    expect(await ask({ ...bearer(rig.ann), host: 'evil.example' })).toMatch(/^HTTP\/1.1 421 /)
    expect(await ask({ ...bearer(rig.ann), origin: rig.gateway.url })).toMatch(/^HTTP\/1.1 101 /)
  })

  test('takes the credential as a subprotocol, which is all that browsers can send, and never shows it', async () => {
    const protocols = ['mcp', `bearer.${rig.ann.credential}`]
    const client = await openWebSocket(rig.gateway.url, '/mcp/recorder/ws', { protocols })
    expect(client.socket.protocol).toBe('mcp')
    expect((await client.shakeHands()).result).toBeDefined()
    expect(rig.gateway.log()).not.toContain(String(rig.ann.credential))
    client.socket.close()
    await gone(client)
  })

  test('at what is not there, or not a WebSocket, is 404 or plain HTTP', async () => {
    expect(await ask(bearer(rig.ann), '/mcp/nobody/ws')).toMatch(/^HTTP\/1.1 404 /)
    expect(await ask(bearer(rig.ann), '/mcp/recorder')).toMatch(/^HTTP\/1.1 405 /)
    expect(await ask({}, '/livez')).toMatch(/^HTTP\/1.1 200 /)
    expect(await ask({ ...bearer(rig.ann), 'sec-websocket-key': 'x' })).toMatch(/^HTTP\/1.1 400 /)
    const plain = await fetch(`${rig.gateway.url}/mcp/recorder/ws`, { headers: bearer(rig.ann) })
    expect([plain.status, await plain.text()]).toEqual([400, expect.stringContaining('WebSocket')])
    const h2c = { ...bearer(rig.ann), upgrade: 'h2c', connection: 'Upgrade, HTTP2-Settings' }
    expect(await ask(h2c, '/api/v1/me')).toMatch(/^HTTP\/1.1 200 /)
  })

  test('behind a request that is still being answered costs the connection, and nothing else', async () => {
    const body = JSON.stringify(modern(1))
    const headers = `host: localhost\r\nauthorization: Bearer ${rig.ann.credential}\r\n`
    const mirrored = 'mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: work\r\n'
    const types = 'content-type: application/json\r\naccept: application/json, text/event-stream\r\n'
    const wire = await dial(rig.gateway.url)
    wire.socket.write(
      `POST /mcp/recorder HTTP/1.1\r\n${headers}${mirrored}${types}content-length: ${body.length}\r\n\r\n${body}` +
        `GET /mcp/recorder/ws HTTP/1.1\r\n${headers}connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    )
    await until(() => wire.isClosed(), 'the end of the connection')
    expect(wire.received()).toBe('')
    expect((await fetch(`${rig.gateway.url}/livez`)).status).toBe(200)
  })
})

describe('the legacy era', () => {
  test('shakes hands, calls, hears progress, and is on the record as websocket', async () => {
    const client = await open()
    await client.shakeHands()
    rig.recorder.once(streamed({ steps: 3 }))
    await client.say(toolCall(1, 'work', { _meta: { progressToken: 'p' } }))
    await client.answer(1)
    const progress = client.heard.filter(({ method }) => method === 'notifications/progress')
    expect(progress.map(({ params }) => params.progress)).toEqual([1, 2, 3])
    expect((await rig.records('&method=tools/call'))[0]).toMatchObject({
      transport: 'websocket',
      era: 'legacy',
    })
    client.socket.close()
    await gone(client)
    expect(rig.recorder.sessions.size).toBe(0)
  })

  test("the server's questions and its own messages come, and answers go back", async () => {
    const client = await open()
    await client.shakeHands('2025-11-25', { elicitation: {} })
    rig.recorder.once(elicit('Your name?'))
    await client.say(toolCall(1))
    const question = await client.first(({ method }) => method === 'elicitation/create')
    expect(question.params.message).toBe('Your name?')
    await client.say({
      jsonrpc: '2.0',
      id: question.id,
      result: { action: 'accept', content: { name: 'Ada' } },
    })
    expect(JSON.stringify((await client.answer(1)).result)).toContain('Ada')
    await until(
      () => rig.recorder.push({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }) === 1,
      'a stream',
    )
    await client.first(({ method }) => method === 'notifications/tools/list_changed')
    client.socket.close()
    await gone(client)
  })

  test('a cancelled call is cancelled at the server, and not answered', async () => {
    const client = await open()
    await client.shakeHands()
    rig.recorder.once(hang())
    await client.say(toolCall('slow'))
    await until(() => rig.recorder.calls().some(({ message }) => message?.id === 'slow'), 'the call')
    await client.say(cancelled('slow'))
    const isCancellation = ({ message }: { message: Json }): boolean => message?.params?.requestId === 'slow'
    await until(() => rig.recorder.hits.some(isCancellation), 'the cancellation')
    await client.say(toolCall('next'))
    await client.answer('next')
    expect(client.heard.some(({ id }) => id === 'slow')).toBe(false)
    client.socket.close()
    await gone(client)
  })

  test('batches work in their revision: one array, a record each', async () => {
    const client = await open()
    await client.shakeHands('2025-03-26')
    const before = (await rig.records('&method=tools/call')).length
    await client.say([toolCall(1), initialized, toolCall(2)])
    const both = await client.first(({ id }) => id === 2)
    const arrays = client.heard.filter((one) => Array.isArray(one)) as unknown[][]
    expect([both.id, arrays.map((array) => array.length)]).toEqual([2, [2]])
    expect((await rig.records('&method=tools/call')).length - before).toBe(2)
    client.socket.close()
    await gone(client)
  })
})

describe('the modern era', () => {
  test('needs no handshake; the server gets the headers that the socket cannot carry', async () => {
    const client = await open()
    await client.say(modern(1, 'größe'))
    expect((await client.answer(1)).result.resultType).toBe('complete')
    const { headers } = rig.recorder.calls('größe')[0] ?? {}
    expect(headers).toMatchObject({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': `=?base64?${Buffer.from('größe').toString('base64')}?=`,
    })
    expect((await rig.records('&method=tools/call'))[0]).toMatchObject({
      transport: 'websocket',
      era: 'modern',
    })
    client.socket.close()
    await until(() => client.closed(), 'the end')
  })

  test("arguments that a tool's schema mirrors are mirrored, which the official server insists on", async () => {
    const client = await open('fixture')
    await client.say(modern(1, 'test_x_mcp_header', { arguments: { region: 'köln' } }))
    expect(JSON.stringify((await client.answer(1)).result)).toContain('region=köln')
    client.socket.close()
  })

  test('a call ends with its notification, or with the connection, and the server sees it', async () => {
    const client = await open()
    rig.recorder.once(hang())
    rig.recorder.once(hang())
    await client.say(modern('a'))
    await client.say(modern('b'))
    const calls = () => rig.recorder.calls().filter(({ message }) => ['a', 'b'].includes(String(message?.id)))
    await until(() => calls().length === 2, 'the calls')
    const hits = rig.recorder.hits.length
    await client.say(cancelled('a'))
    await until(() => calls().find(({ message }) => message?.id === 'a')?.aborted === true, 'its end')
    expect(calls().find(({ message }) => message?.id === 'b')?.aborted).toBe(false)
    client.cut()
    await until(() => calls().every(({ aborted }) => aborted), 'the end of both')
    expect([client.heard, rig.recorder.hits.length]).toEqual([[], hits])
    await until(async () => (await rig.records('&outcome=cancelled')).length >= 2, 'the records')
  })
})

describe('the connection', () => {
  test('ends with 1009 for what is too large, with 1003 for what is no text', async () => {
    const [large, exact, binary] = [await open(), await open(), await open()]
    const sized = (bytes: number): string => {
      const frame = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: { x: '' } })
      return frame.replace('"x":""', `"x":"${'x'.repeat(bytes - frame.length)}"`)
    }
    await exact.say(sized(20_000))
    expect((await exact.answer(1)).error.data.code).toBe('session_required')
    await large.say(sized(20_001))
    binary.socket.send(Buffer.from('{}'), { binary: true })
    await until(() => large.closed() && binary.closed(), 'the end of both')
    expect([large.closing()?.[0], binary.closing()?.[0]]).toEqual([1009, 1003])
    exact.socket.close()
  })

  test('survives what is no message, and says so', async () => {
    const client = await open()
    await client.say('{"jsonrpc"')
    await client.say('[]')
    await client.say('{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}')
    await until(() => client.heard.length === 3, 'three errors')
    expect(client.heard.map(({ id, error }) => [id, error.code])).toEqual([
      [null, -32700],
      [null, -32600],
      [null, -32600],
    ])
    expect((await client.shakeHands()).result).toBeDefined()
    client.socket.close()
    await gone(client)
  })

  test('is pinged, and cut off where no pong comes', async () => {
    const client = await open()
    let pings = 0
    client.socket.on('ping', () => pings++)
    await until(() => pings > 1, 'two pings')
    const mute = new WebSocket(`${rig.gateway.url.replace('http', 'ws')}/mcp/recorder/ws`, 'mcp', {
      headers: bearer(rig.ann),
      autoPong: false,
    })
    let closed = false
    mute.on('close', () => (closed = true)).on('error', () => {})
    await until(() => closed, 'the end of the mute one')
    expect(client.closed()).toBe(false)
    client.socket.close()
  })

  test('ends within a second when its credential is revoked, and says why', async () => {
    const { id, key } = await rig.ann.ok('POST', '/api/v1/keys', { name: 'soon-gone' })
    const client = await open('recorder', { authorization: `Bearer ${key}` })
    await client.shakeHands()
    await rig.ann.ok('DELETE', `/api/v1/keys/${id}`)
    await until(() => client.closed(), 'the end of the socket', 1000)
    expect(client.closing()).toEqual([1008, 'the credential has ended'])
    await gone(client)
  })

  test('ends when its credential expires', async () => {
    const expiresAt = new Date(Date.now() + 1500).toISOString()
    const { key } = await rig.ann.ok('POST', '/api/v1/keys', { name: 'short', expiresAt })
    const client = await open('recorder', { authorization: `Bearer ${key}` })
    await client.shakeHands()
    expect(client.closed()).toBe(false)
    await until(() => client.closed(), 'the end of the socket', 3500)
    expect([client.closing()?.[0], Date.now() >= Date.parse(expiresAt)]).toEqual([1008, true])
    await gone(client)
  })

  test('that vanishes frees its session, its sockets and its child', async () => {
    const before = { files: descriptors(), children: children() }
    const clients = await Promise.all(Array.from({ length: 5 }, () => open('everything')))
    for (const client of clients) await client.shakeHands()
    expect([children() - before.children, await rig.openSessions()]).toEqual([5, 5])
    for (const client of clients) client.cut()
    await until(async () => (await rig.openSessions()) === 0, 'no session')
    await until(() => children() === before.children, 'no child')
    await until(() => descriptors() <= before.files + 2, 'no descriptor')
  })

  test('that reads nothing is cut off, and nobody else waits', async () => {
    rig.recorder.on('tools/call', ({ message, response }) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const content = [{ type: 'text', text: 'x'.repeat(1_000_000) }]
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { content } }))
    })
    const [slow, quick] = [await open(), await open()]
    await slow.shakeHands()
    slow.socket.pause()
    for (let id = 0; id < 40; id++) await slow.say(toolCall(id))
    await quick.shakeHands()
    await quick.say(toolCall('q'))
    await quick.answer('q')
    await until(async () => (await rig.openSessions()) === 1, 'the end of the slow one', 15_000)
    slow.socket.resume()
    quick.socket.close()
    await gone(quick)
    rig.recorder.on('tools/call', hang())
  }, 30_000)
})

test('SDK 1.32 works unaided, where its credential is in a header that the platform adds', async () => {
  const usual = globalThis.WebSocket
  class WithHeaders extends WebSocket {
    constructor(url: URL, protocol: string) {
      super(url, protocol, { headers: bearer(rig.ann) })
    }
  }
  globalThis.WebSocket = WithHeaders as unknown as typeof globalThis.WebSocket
  try {
    const client = new Client({ name: 'sdk', version: '1' })
    await client.connect(
      new WebSocketClientTransport(new URL(`${rig.gateway.url.replace('http', 'ws')}/mcp/everything/ws`)),
    )
    const answer = await client.callTool({ name: 'echo', arguments: { message: 'over ws' } })
    expect(JSON.stringify(answer.content)).toContain('over ws')
    await client.close()
  } finally {
    globalThis.WebSocket = usual
  }
})

test('initialize of a user over the cap is refused, and so is another connection', async () => {
  const own = await startRig({ TOLLBRIDGE_SESSIONS_MAX_PER_PRINCIPAL: '2' })
  try {
    const headers = bearer(own.ann)
    const path = '/mcp/recorder/ws'
    const first = await openWebSocket(own.gateway.url, path, { headers })
    const second = await openWebSocket(own.gateway.url, path, { headers })
    expect(await upgrade(own.gateway.url, path, headers)).toMatch(/^HTTP\/1.1 429 [^]*too_many_sessions/)
    expect(await upgrade(own.gateway.url, path, bearer(own.bob))).toMatch(/^HTTP\/1.1 101 /)
    await own.ann.ok('POST', '/api/v1/servers/recorder/sessions', {})
    await own.ann.ok('POST', '/api/v1/servers/recorder/sessions', {})
    await first.say(initialize())
    expect((await first.answer('init')).error.data.code).toBe('too_many_sessions')
    second.cut()
    await until(async () => (await upgrade(own.gateway.url, path, headers)).includes(' 101 '), 'room')
  } finally {
    await own.stop()
  }
})

const descriptors = (): number => readdirSync(`/proc/${rig.gateway.process.pid}/fd`).length
const children = (): number =>
  readFileSync(`/proc/${rig.gateway.process.pid}/task/${rig.gateway.process.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter((pid) => pid !== '').length
